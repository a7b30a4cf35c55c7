// graphile-worker: one load on it; prints its figures as bench-peer does.
//
//   node graphile.mjs MODULES CONNECTION KIND CLIENTS WINDOW PAYLOAD SECONDS
//
// MODULES is the folder with node_modules. Submitters and the worker are in this one process, which
// has one thread, as is usual with it. A submit is safe when addJob returns; the end of work when
// the worker says job:complete, after its DELETE. For more than one client the worker is set up as
// its authors advise for speed: a local queue, and completions without delay.
import { createRequire } from "node:module";
import path from "node:path";

const [modules, connection, kind, ...numbers] = process.argv.slice(2);
const [clients, window, payload, seconds] = numbers.map(Number);
const require = createRequire(path.join(modules, "/"));
const { Pool } = require("pg");
const { Logger, makeWorkerUtils, run } = require("graphile-worker");

const WARMUP_MS = 500;
const CONNECTIONS = 20;
const JOBS_AT_ONCE = 24;
const logger = new Logger(() => () => {});
const text = "x".repeat(payload);
const latencies = [];
let measuring = false;

function quantile(sorted, share) {
  return sorted.length ? sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] : 0;
}

// CLIENTS x WINDOW loops, each with one piece of work outstanding.
async function load(work) {
  let ending = false;
  const loop = async () => {
    while (!ending) {
      const start = performance.now();
      await work();
      if (measuring) latencies.push(performance.now() - start);
    }
  };
  const loops = Array.from({ length: clients * window }, loop);
  await new Promise((resolve) => setTimeout(resolve, WARMUP_MS));
  measuring = true;
  const start = performance.now();
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  measuring = false;
  const measured = (performance.now() - start) / 1000;
  ending = true;
  await Promise.all(loops);
  return measured;
}

const pool = new Pool({ connectionString: connection, max: CONNECTIONS });
pool.on("error", () => {}); // at the end, when the server goes away
await pool.query("DROP SCHEMA IF EXISTS graphile_worker CASCADE");
const utils = await makeWorkerUtils({ pgPool: pool, logger });
await utils.migrate();

let measured;
if (kind === "submit") {
  measured = await load(() => utils.addJob("work", { text }));
} else {
  const ends = new Map();
  let number = 0;
  const own = new Pool({ connectionString: connection, max: JOBS_AT_ONCE + 5 });
  own.on("error", () => {});
  const worker = { concurrentJobs: Math.min(clients * window, JOBS_AT_ONCE) };
  if (clients > 1) {
    Object.assign(worker, {
      localQueue: { size: 500 },
      completeJobBatchDelay: 0,
      failJobBatchDelay: 0,
    });
  }
  const runner = await run({
    pgPool: own,
    logger,
    noHandleSignals: true,
    preset: { worker },
    taskList: { work: async () => {} },
  });
  runner.events.on("job:complete", ({ job }) => {
    const end = ends.get(job.payload.number);
    ends.delete(job.payload.number);
    if (end) end();
  });
  measured = await load(async () => {
    const mine = number++;
    const ended = new Promise((resolve) => ends.set(mine, resolve));
    await utils.addJob("work", { number: mine, text });
    await ended;
  });
  await runner.stop();
  await own.end();
}

latencies.sort((a, b) => a - b);
const figures = {
  peer: "graphile-worker",
  clients,
  window,
  payload,
  count: latencies.length,
  seconds: measured,
  rate: latencies.length / measured,
  ms: {
    p50: quantile(latencies, 0.5),
    p99: quantile(latencies, 0.99),
    "p99.9": quantile(latencies, 0.999),
    max: latencies.at(-1) ?? 0,
  },
};
console.log(JSON.stringify(figures));
process.exit(0);
