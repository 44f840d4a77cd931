// Calls one method of the official JavaScript SDK and prints what came of it as one line of JSON.
//   node sdk.cjs '{"key","baseUrl","method","arguments"}'
const { Client } = require("wavespeed");

const told = (error) => error && { name: error.name, message: error.message, taskId: error.taskId };

async function main() {
  const asked = JSON.parse(process.argv[2]);
  const client = new Client(asked.key, { baseUrl: asked.baseUrl });
  const log = console.log;
  console.log = console.error;
  try {
    const value = await client[asked.method](...asked.arguments);
    if (value && value.detail) value.detail.error = told(value.detail.error);
    log(JSON.stringify({ value }));
  } catch (error) {
    log(JSON.stringify({ error: told(error) }));
  }
}

main();
