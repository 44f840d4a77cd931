// Judges deliveries with the independent library and with the sample of our documents; prints a list of booleans.
//   node verify.cjs '{"sample","messages":[{"headers","body","secret","scheme"}]}'
const { Webhook } = require("standardwebhooks");

const asked = JSON.parse(process.argv[2]);
const sample = new Function("require", `${asked.sample}; return isFromOrchestrator;`)(require);

function isBelieved({ headers, body, secret }) {
  try {
    new Webhook(secret).verify(body, headers);
    return true;
  } catch (error) {
    return false;
  }
}

const verdicts = asked.messages.map((one) => ({
  library: one.scheme === "v1" && isBelieved(one),
  sample: sample(one.headers, Buffer.from(one.body), one.secret, one.scheme),
}));
console.log(JSON.stringify(verdicts));
