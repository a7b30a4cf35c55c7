// The description of the admin port is valid, a client made of it works against both nodes, and
// what they really answer is as described.
//   openapi.mjs URL_A URL_B ID_TO_MOVE ID_TO_STOP
import assert from "node:assert/strict";
import parser from "@apidevtools/swagger-parser";
import validator from "openapi-response-validator";
import SwaggerClient from "swagger-client";

const [urlA, urlB, idToMove, idToStop] = process.argv.slice(2);
const OpenAPIResponseValidator = validator.default;
const text = await (await fetch(`${urlA}/v1/openapi.json`)).json();
const whole = await parser.validate(structuredClone(text));
let looked = 0;

function check(operation, status, body) {
  const responses = new OpenAPIResponseValidator({
    responses: operation.responses, components: whole.components,
  });
  const errors = responses.validateResponse(status, body);
  assert.equal(errors, undefined, `${operation.operationId} ${status}: ${JSON.stringify(errors)}\n` +
    JSON.stringify(body).slice(0, 1500));
  looked++;
}

function operation(id) {
  for (const methods of Object.values(whole.paths)) {
    for (const found of Object.values(methods)) if (found.operationId === id) return found;
  }
  throw new Error(`no operation ${id}`);
}

async function call(client, id, parameters = {}, requestBody = undefined) {
  let answer;
  try {
    answer = await client.execute({ operationId: id, parameters, requestBody });
  } catch (error) {
    answer = error.response;
    assert.ok(answer, `${id}: ${error.message}`);
  }
  check(operation(id), answer.status, answer.body ?? JSON.parse(answer.text));
  return answer;
}

for (const url of [urlA, urlB]) {
  const client = await SwaggerClient({ spec: { ...text, servers: [{ url }] } });
  for (const id of ["health", "liveness", "readiness", "primary", "backup", "status", "pair", "daps",
    "queues", "routers", "strategies", "agents", "applications", "diff", "interactions", "history",
    "audit"]) await call(client, id);
  const page = await call(client, "interactions", { queue: "parked", limit: 5 });
  assert.equal(page.body.interactions.length, 5);
  const one = await call(client, "interaction", { id: page.body.interactions[0].id });
  assert.equal(one.status, 200);
  const none = await call(client, "interaction", { id: "00000000-0000-7000-8000-000000000000" });
  assert.equal(none.status, 404);
  assert.equal((await call(client, "interactions", { limit: 501 })).status, 400);
  const search = await call(client, "search", { attribute: "subject", value: "a & b", limit: 3 });
  assert.equal(search.body.interactions.length, 3);
  const strategy = await call(client, "strategy", { id: "by-http" });
  assert.equal(strategy.body.body, "-- é\n");
  assert.equal((await call(client, "strategy", { id: "none" })).status, 404);
}

const client = await SwaggerClient({ spec: { ...text, servers: [{ url: urlB }] } });
assert.equal((await call(client, "move", { id: idToMove },
  { queue: "support", reason: "a test" })).status, 200);
assert.equal((await call(client, "hold", { id: idToStop }, { reason: "a test" })).status, 200);
assert.equal((await call(client, "resume", { id: idToStop }, {})).status, 200);
assert.equal((await call(client, "release", { id: idToStop }, {})).status, 409);
assert.equal((await call(client, "stop", { id: idToStop }, { reason: "a test" })).status, 200);
assert.equal((await call(client, "interaction", { id: idToStop })).body.state, "completed");
assert.equal((await call(client, "switchover", {}, { reason: "a test", dry_run: true })).status, 200);
assert.equal((await call(client, "failover", {}, { reason: "a test", dry_run: true })).status, 409);
const routers = { routers: ["R1"], reason: "a test" };
assert.equal((await call(client, "activate", { id: "by-http" }, routers)).status, 200);
assert.equal((await call(client, "deactivate", { id: "by-http" }, routers)).status, 200);
assert.equal((await call(client, "drain", { id: "router-1" }, { reason: "a test" })).status, 200);
assert.equal((await call(client, "undrain", { id: "router-1" }, {})).status, 200);
assert.equal((await call(client, "reload", {}, { reason: "a test", dry_run: true })).status, 200);
assert.equal((await call(client, "check", {}, { text: "nonsense: 1\n" })).status, 409);
assert.equal((await call(client, "check", {}, {})).status, 400);
assert.equal((await call(client, "reload", {}, { reason: "a test" })).status, 200);
await call(client, "audit");
console.log(`openapi: valid, ${looked} answers are as described`);
