// Jobs through a queue over HTTP, in the phases of BullMQ's and pg-boss's benches: node queues.mjs URL N HANDLERS. One line: RES add=… drain=… …
// 1: N jobs, one call each, by 64 adders; 2: drained with HANDLERS handlers that do nothing (receive by ten, delete by ten); 3: 64 jobs under way,
// added and handled at once, for four seconds; 4: one job at a time.
import http from 'node:http';

const [url, count, handlers] = [process.argv[2], +process.argv[3], +process.argv[4]];
const key = process.env.MAYFLY_API_KEY, agent = new http.Agent({ keepAlive: true, maxSockets: 256 });
const base = new URL(url);
const now = () => performance.now();
const call = (method, path, body) => new Promise((done, failed) => {
  const text = body === undefined ? '' : JSON.stringify(body);
  const request = http.request({ host: base.hostname, port: base.port, method, path, agent,
    headers: { authorization: 'Bearer ' + key, 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) } }, (answer) => {
    let all = '';
    answer.setEncoding('utf8').on('data', (part) => (all += part)).on('end', () =>
      answer.statusCode < 300 ? done(all ? JSON.parse(all) : null) : failed(new Error(`${method} ${path}: ${answer.statusCode} ${all}`)));
  });
  request.on('error', failed).end(text);
});
const queue = '/v1/queues/bench', payload = { s: 'x'.repeat(200) };
await call('PUT', queue, { visibility_timeout: '60s' });
const add = (data) => call('POST', queue + '/messages', { body: data });

let got = 0, wake, stopped = false;
const waiting = new Map();
const on = (data) => {
  ++got;
  const one = waiting.get(data.id);
  if (one) { waiting.delete(data.id); one(); }
  if (got === count && wake) wake();
};
async function work() {
  while (!stopped) {
    const { messages } = await call('POST', queue + '/receive', { max: 10, wait: '1s' });
    if (messages.length === 0) continue;
    for (const message of messages) on(typeof message.body === 'string' ? JSON.parse(message.body) : message.body);
    await call('POST', queue + '/messages/delete', { receipt_handles: messages.map((message) => message.receipt_handle) });
  }
}

let next = 0, began = now();
await Promise.all(Array.from({ length: 64 }, async () => { while (next < count) await add({ id: next++, ...payload }); }));
const tAdd = (now() - began) / 1e3;
const drained = new Promise((done) => (wake = done));
began = now();
const workers = Array.from({ length: Math.ceil(handlers / 10) }, work);
await drained;
const tDrain = (now() - began) / 1e3;

const latencies = [], until = now() + 4000;
let id = 1e9;
const job = () => new Promise((done, failed) => { const mine = id++; waiting.set(mine, done); add({ id: mine, ...payload }).catch(failed); });
const cpu = process.cpuUsage();
began = now();
await Promise.all(Array.from({ length: 64 }, async () => { while (now() < until) { const at = now(); await job(); latencies.push(now() - at); } }));
const tSteady = (now() - began) / 1e3, used = process.cpuUsage(cpu);
latencies.sort((a, b) => a - b);
const pings = [];
for (let i = 0; i < 60; ++i) { const at = now(); await job(); pings.push(now() - at); }
pings.sort((a, b) => a - b);
console.log(`RES add=${(count / tAdd).toFixed(0)} drain=${(count / tDrain).toFixed(0)} e2e=${(latencies.length / tSteady).toFixed(0)} ` +
  `e2e_p50=${latencies[latencies.length >> 1].toFixed(2)} e2e_p99=${latencies[Math.floor(latencies.length * 0.99)].toFixed(2)} ` +
  `ping_p50=${pings[pings.length >> 1].toFixed(2)} cpu_us=${Math.round((used.user + used.system) / latencies.length)}`);
stopped = true;
await Promise.all(workers);
agent.destroy();
