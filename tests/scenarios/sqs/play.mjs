// Plays the steps that standard input holds as JSON, with AWS's SDK for JavaScript v3: play.mjs ENDPOINT. Prints a JSON list of answers.
import { readFileSync } from 'node:fs';
import * as sqs from '@aws-sdk/client-sqs';

const client = new sqs.SQSClient({ endpoint: process.argv[2], region: 'us-east-1', maxAttempts: 1 });
const saved = {};
const fill = (value) => {
  if (typeof value === 'string' && value.startsWith('$')) {
    const [name, ...more] = value.slice(1).split('-');
    return [saved[name], ...more].join('-');
  }
  if (Array.isArray(value)) return value.map(fill);
  if (value === null || typeof value !== 'object') return value;
  if ('$bytes' in value) return Buffer.from(value.$bytes, 'base64');
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, fill(v)]));
};
const plain = (value) => {
  if (value instanceof Uint8Array) return { $bytes: Buffer.from(value).toString('base64') };
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).filter(([k, v]) => k !== '$metadata' && v !== undefined).map(([k, v]) => [k, plain(v)]));
};
const out = [];
for (const step of JSON.parse(readFileSync(0, 'utf8'))) {
  let answer;
  try {
    answer = await client.send(new sqs[step.op + 'Command'](fill(step.in)));
    for (const [name, path] of Object.entries(step.save)) saved[name] = path.split('.').reduce((at, part) => at?.[part], answer);
    answer = plain(answer);
  } catch (error) {
    answer = { error: error.name };
  }
  out.push({ label: step.label, op: step.op, answer });
}
console.log(JSON.stringify({ answers: out }));
