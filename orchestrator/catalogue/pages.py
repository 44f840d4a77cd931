"""The built-in pages, as WaveSpeed printed them; nothing but data.

Parameters stand in the order of their page and say what it says: a limit that a page does not print is
not checked. Where a page's words leave something open, a comment tells how it was read. Rows that
several pages print alike stand first.
"""

from __future__ import annotations

from dataclasses import replace

from orchestrator.catalogue.page import Kind, Page, Parameter

_PROMPT = Parameter("prompt", Kind.TEXT, "The prompt to generate an image from.", required=True)
_SOURCE_IMAGE = Parameter(
    "image", Kind.MEDIA, "The URL of the image to generate an image from.", required=True
)
_SIZE = Parameter(
    "size",
    Kind.SIZE,
    "The size of the generated media in pixels (width*height).",
    default="1024*1024",
    limits=(256, 1536),
)
_STEPS = Parameter(
    "num_inference_steps",
    Kind.INTEGER,
    "The number of inference steps to perform.",
    default=28,
    limits=(1, 50),
)
_SEED = Parameter(
    "seed",
    Kind.INTEGER,
    "The random seed to use for the generation.",
    default=-1,
    limits=(-1, 2_147_483_647),
)
_GUIDANCE = Parameter(
    "guidance_scale",
    Kind.NUMBER,
    "The guidance scale to use for the generation.",
    default=3.5,
    limits=(1, 20),
)
_IMAGES = Parameter("num_images", Kind.INTEGER, "The number of images to generate.", default=1, limits=(1, 4))
_FORMAT = Parameter(
    "output_format",
    Kind.TEXT,
    "The format of the output image.",
    default="jpeg",
    choices=("jpeg", "png", "webp"),
)
_SAFETY_CHECKER = Parameter(
    "enable_safety_checker",
    Kind.SWITCH,
    "If set to true, the safety checker will be enabled.",
    default=True,
)
_BASE64_OUTPUT = Parameter(
    "enable_base64_output",
    Kind.SWITCH,
    "If enabled, the output will be encoded into a BASE64 string instead of a URL. "
    "This property is only available through the API.",
    default=False,
)
_SYNC_MODE = Parameter(
    "enable_sync_mode",
    Kind.SWITCH,
    "If set to true, the function will wait for the image to be generated and uploaded before returning "
    "the response. It allows you to get the image directly in the response. "
    "This property is only available through the API.",
    default=False,
)
_REDUX = (
    "is an adapter for all FLUX.1 base models for image variation generation. Given an input image, FLUX.1 "
    "Redux can reproduce the image with slight variation, allowing to refine a given image. It naturally "
    "integrates into more complex workflows unlocking image restyling."
)

FLUX_DEV_V2 = Page(
    model="wavespeed-ai/flux-dev",
    version="v2",
    name="Flux Dev",
    type="text-to-image",
    description="Flux Dev is a high-speed image generation API designed for rapid prototyping and "
    "development workflows.",
    parameters=(
        Parameter("prompt", Kind.TEXT, "Text description of the image to generate", default=""),
        Parameter(
            "image",
            Kind.MEDIA,
            "Base64 encoded image or image URL for image-to-image generation",
            default="",
        ),
        Parameter(
            "strength",
            Kind.NUMBER,
            "Strength of the image-to-image transformation",
            default=0.6,
            limits=(0, 1),
        ),
        Parameter("loras", Kind.LIST, "List of LoRA models to apply", default=(), max_items=5),
        Parameter(
            "size",
            Kind.SIZE,
            "Image dimensions in width*height format",
            default="1024*1024",
            limits=(512, 1536),
        ),
        Parameter(
            "num_inference_steps",
            Kind.INTEGER,
            "Number of inference steps for dev model",
            default=28,
            limits=(1, 50),
        ),
        Parameter(
            "seed", Kind.INTEGER, "Random seed for reproducible results. -1 for random seed", default=-1
        ),
        Parameter(
            "guidance_scale", Kind.NUMBER, "Guidance scale for generation", default=5.0, limits=(0, 10)
        ),
        Parameter("num_images", Kind.INTEGER, "Number of images to generate", default=1, limits=(1, 4)),
        Parameter(
            "enable_safety_checker",
            Kind.SWITCH,
            "Enable safety checker for generated content",
            default=True,
        ),
    ),
)

# Known by its parameter names, some defaults and some ranges only. What these leave open is read as on
# flux-redux-dev v3, the same family in the same API version: steps 1 to 50, the seed's range, the formats.
FLUX_DEV_V3 = Page(
    model="wavespeed-ai/flux-dev",
    version="v3",
    name="Flux Dev",
    type="text-to-image",
    description="FLUX.1 [dev] is a 12 billion parameter rectified flow transformer capable of generating "
    "images from text descriptions.",
    parameters=(
        _PROMPT,
        Parameter("image", Kind.MEDIA, "The image to generate an image from."),
        Parameter("mask_image", Kind.MEDIA, "The mask that tells which areas of the image to redo."),
        Parameter(
            "strength",
            Kind.NUMBER,
            "Strength of the image-to-image transformation.",
            default=0.8,
            limits=(0, 1),
        ),
        _SIZE,
        _STEPS,
        _SEED,
        _GUIDANCE,
        _IMAGES,
        _FORMAT,
        _BASE64_OUTPUT,
        _SYNC_MODE,
    ),
)

FLUX_REDUX_DEV_V2 = Page(
    model="wavespeed-ai/flux-redux-dev",
    version="v2",
    name="Flux Redux Dev",
    type="image-to-image",
    description="Open-weight image variation model. Create new versions while preserving key elements of "
    "your original.",
    parameters=(
        # Required and with a default, as printed. A request without an image is refused: the default is
        # the page's example, which nobody means to pay for.
        Parameter(
            "image",
            Kind.MEDIA,
            "The URL of the image to generate an image from.",
            required=True,
            default="https://d2g64w682n9w0w.cloudfront.net/media/ec44bbf6abac4c25998dd2c4af1a46a7"
            "/images/1744855552093761102_56fc851Y.jpeg",
        ),
        Parameter(
            "size",
            Kind.SIZE,
            "The size of the generated image.",
            default="1024*1024",
            limits=(512, 1536),
        ),
        _STEPS,
        Parameter(
            "seed",
            Kind.INTEGER,
            "The same seed and the same prompt given to the same version of the model will output the same "
            "image every time.",
            limits=(-1, 9_999_999_999),
        ),
        Parameter(
            "guidance_scale",
            Kind.NUMBER,
            "The CFG (Classifier Free Guidance) scale is a measure of how close you want the model to stick "
            "to your prompt when looking for a related image to show you.",
            default=3.5,
            limits=(1, 20),
        ),
        _IMAGES,
        _SAFETY_CHECKER,
    ),
)

# The page's own curl example leaves out the image that its table requires; the table is believed.
FLUX_REDUX_DEV_V3 = Page(
    model="wavespeed-ai/flux-redux-dev",
    version="v3",
    name="Flux Redux Dev",
    type="image-to-image",
    description=f"FLUX.1 Redux [dev] {_REDUX}",
    parameters=(
        _SOURCE_IMAGE,
        _SIZE,
        _STEPS,
        _GUIDANCE,
        _IMAGES,
        _SEED,
        _FORMAT,
        _BASE64_OUTPUT,
        _SYNC_MODE,
    ),
)

FLUX_REDUX_PRO_V3 = Page(
    model="wavespeed-ai/flux-redux-pro",
    version="v3",
    name="Flux Redux Pro",
    type="image-to-image",
    description=f"FLUX.1 Redux [pro] {_REDUX}",
    parameters=(
        _SOURCE_IMAGE,
        replace(_PROMPT, required=False),
        _SIZE,
        replace(_SEED, default=None),
        _STEPS,
        replace(_GUIDANCE, limits=(1, 5)),
        _IMAGES,
        _SAFETY_CHECKER,
    ),
)

# `safety_tolerance` prints no range, but its description names both ends. `enable_sync_mode` came later.
FLUX_KONTEXT_PRO_V3 = Page(
    model="wavespeed-ai/flux-kontext-pro",
    version="v3",
    name="Flux Kontext Pro",
    type="image-to-image",
    description="FLUX.1 Kontext [pro] is a model with greatly improved prompt adherence and typography "
    "generation meet premium consistency for editing without compromise on speed.",
    parameters=(
        _PROMPT,
        Parameter("image", Kind.MEDIA, "The image to generate an image from.", required=True),
        replace(_GUIDANCE, limits=(1, 10)),
        Parameter(
            "safety_tolerance",
            Kind.TEXT,
            "The safety tolerance level for the generated image. 1 being the most strict and 5 being the "
            "most permissive.",
            default="2",
            choices=("1", "2", "3", "4", "5"),
        ),
        _SYNC_MODE,
    ),
)

BUILT_IN = (
    FLUX_DEV_V2,
    FLUX_DEV_V3,
    FLUX_REDUX_DEV_V2,
    FLUX_REDUX_DEV_V3,
    FLUX_REDUX_PRO_V3,
    FLUX_KONTEXT_PRO_V3,
)
