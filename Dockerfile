# The server image: `serve` by default; `worker`, `migrate` and `check` are the same image with another command,
# so that each has its own health check, in docker-compose.yml. It runs from its source tree, because the migrations
# and the demo's jobs stand beside the package, and works where it may write.

FROM python:3.11-slim AS build
ARG UV_VERSION=0.13.8
RUN pip install --no-cache-dir uv==${UV_VERSION}
WORKDIR /app
RUN uv venv --python /usr/local/bin/python
COPY requirements.lock ./
RUN uv pip sync --no-cache --compile-bytecode --require-hashes requirements.lock
COPY pyproject.toml README.md LICENSE alembic.ini ./
COPY orchestrator/ orchestrator/
COPY migrations/ migrations/
COPY examples/ examples/
RUN uv pip install --no-cache --no-deps --editable . && python -m compileall -q orchestrator

FROM python:3.11-slim
RUN useradd --uid 10001 --create-home --skel /var/empty --home-dir /data orchestrator
COPY --from=build /app /app
ENV PATH=/app/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    ORCHESTRATOR_DATA_DIR=/data
WORKDIR /data
USER orchestrator
VOLUME /data
EXPOSE 8080
ENTRYPOINT ["orchestrator"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8080"]
