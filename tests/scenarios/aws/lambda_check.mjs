// AWS's SDK for JavaScript v3 against AWS_ENDPOINT_URL_LAMBDA: creates, invokes, streams, versions and deletes a function.
import {
  CreateAliasCommand, CreateFunctionCommand, DeleteFunctionCommand, GetFunctionCommand, InvokeCommand, InvokeWithResponseStreamCommand, LambdaClient,
  ListFunctionsCommand, PublishVersionCommand, PutFunctionConcurrencyCommand, UpdateFunctionConfigurationCommand, waitUntilFunctionActiveV2,
} from '@aws-sdk/client-lambda';
import { readFileSync } from 'node:fs';
import assert from 'node:assert/strict';

const client = new LambdaClient({});
const FunctionName = 'from-js';
let passed = 0, failed = 0;
async function check(name, run) {
  try { await run(); passed++; console.log(`ok   ${name}`); } catch (error) { failed++; console.log(`FAIL ${name}: ${error.stack}`); }
}
const text = (bytes) => Buffer.from(bytes ?? []).toString();

await check('create and wait', async () => {
  await client.send(new CreateFunctionCommand({ FunctionName, Runtime: 'nodejs22.x', Handler: 'index.handler', Role: 'arn:aws:iam::000000000000:role/any', Code: { ZipFile: readFileSync(process.argv[2]) } }));
  await waitUntilFunctionActiveV2({ client, maxWaitTime: 30 }, { FunctionName });
});
await check('invoke', async () => {
  const answer = await client.send(new InvokeCommand({ FunctionName, Payload: '{"a":1}', LogType: 'Tail' }));
  assert.equal(text(answer.Payload), '{"got":{"a":1}}');
  assert.match(Buffer.from(answer.LogResult, 'base64').toString(), /REPORT RequestId/);
});
await check('a failing handler is a function error', async () => {
  const answer = await client.send(new InvokeCommand({ FunctionName, Payload: '{"fail":true}' }));
  assert.equal(answer.FunctionError, 'Unhandled');
  assert.equal(JSON.parse(text(answer.Payload)).errorMessage, 'as asked');
});
await check('event', async () => assert.equal((await client.send(new InvokeCommand({ FunctionName, InvocationType: 'Event', Payload: '{}' }))).StatusCode, 202));
await check('dry run', async () => assert.equal((await client.send(new InvokeCommand({ FunctionName, InvocationType: 'DryRun' }))).StatusCode, 204));
await check('response stream', async () => {
  let said = '', complete = false;
  for await (const event of (await client.send(new InvokeWithResponseStreamCommand({ FunctionName, Payload: '{"b":2}' }))).EventStream) {
    if (event.PayloadChunk) said += text(event.PayloadChunk.Payload);
    if (event.InvokeComplete) complete = true;
  }
  assert.equal(said, '{"got":{"b":2}}');
  assert.ok(complete);
});
await check('versions, aliases, concurrency', async () => {
  const { Version } = await client.send(new PublishVersionCommand({ FunctionName }));
  await client.send(new CreateAliasCommand({ FunctionName, Name: 'live', FunctionVersion: Version }));
  assert.equal((await client.send(new InvokeCommand({ FunctionName, Qualifier: 'live', Payload: '{}' }))).ExecutedVersion, Version);
  assert.equal((await client.send(new PutFunctionConcurrencyCommand({ FunctionName, ReservedConcurrentExecutions: 2 }))).ReservedConcurrentExecutions, 2);
  await client.send(new UpdateFunctionConfigurationCommand({ FunctionName, Timeout: 9 }));
  assert.equal((await client.send(new GetFunctionCommand({ FunctionName }))).Configuration.Timeout, 9);
});
await check('a wrong secret is refused', async () => {
  const other = new LambdaClient({ credentials: { accessKeyId: process.env.AWS_ACCESS_KEY_ID, secretAccessKey: 'wrong' } });
  await assert.rejects(other.send(new ListFunctionsCommand({})), (error) => error.name === 'InvalidSignatureException');
});
await check('delete', async () => {
  await client.send(new DeleteFunctionCommand({ FunctionName }));
  await assert.rejects(client.send(new GetFunctionCommand({ FunctionName })), (error) => error.name === 'ResourceNotFoundException');
});
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
