// AWS's SDK for JavaScript v3 against AWS_ENDPOINT_URL_SFN: machines, executions, activities, task tokens.
import {
  CreateActivityCommand, CreateStateMachineCommand, DeleteStateMachineCommand, DescribeExecutionCommand, DescribeStateMachineCommand,
  GetActivityTaskCommand, GetExecutionHistoryCommand, ListExecutionsCommand, ListStateMachinesCommand, SendTaskFailureCommand,
  SendTaskHeartbeatCommand, SendTaskSuccessCommand, SFNClient, StartExecutionCommand, StartSyncExecutionCommand, StopExecutionCommand,
  ValidateStateMachineDefinitionCommand,
} from '@aws-sdk/client-sfn';
import assert from 'node:assert/strict';

const client = new SFNClient({ disableHostPrefix: true, maxAttempts: 1 });
const send = (Command, input = {}) => client.send(new Command(input));
const roleArn = 'arn:aws:iam::000000000000:role/any';
let passed = 0, failed = 0;
async function check(name, run) {
  try { await run(); passed++; console.log(`ok   ${name}`); } catch (error) { failed++; console.log(`FAIL ${name}: ${error.stack}`); }
}
const create = async (name, States, type) =>
  (await send(CreateStateMachineCommand, { name, roleArn, type, definition: JSON.stringify({ StartAt: Object.keys(States)[0], States }) })).stateMachineArn;
async function ended(executionArn) {
  for (let tries = 0; tries < 600; tries++) {
    const found = await send(DescribeExecutionCommand, { executionArn });
    if (found.status !== 'RUNNING') return found;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`${executionArn} does not end`);
}

await check('list nothing', async () => assert.deepEqual((await send(ListStateMachinesCommand)).stateMachines, []));
await check('validate', async () => {
  const found = await send(ValidateStateMachineDefinitionCommand, { definition: '{"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "B"}}}' });
  assert.equal(found.result, 'FAIL');
  assert.ok(found.diagnostics.length > 0);
});
await check('run and read the history', async () => {
  const stateMachineArn = await create('greet', { A: { Type: 'Pass', Result: { hello: 'world' }, End: true } });
  const { executionArn, startDate } = await send(StartExecutionCommand, { stateMachineArn, name: 'one' });
  assert.ok(startDate instanceof Date);
  const found = await ended(executionArn);
  assert.deepEqual([found.status, JSON.parse(found.output)], ['SUCCEEDED', { hello: 'world' }]);
  const { events } = await send(GetExecutionHistoryCommand, { executionArn });
  assert.deepEqual(events.map((event) => event.type), ['ExecutionStarted', 'PassStateEntered', 'PassStateExited', 'ExecutionSucceeded']);
  assert.equal((await send(ListExecutionsCommand, { stateMachineArn })).executions[0].name, 'one');
  await assert.rejects(send(StartExecutionCommand, { stateMachineArn, name: 'one' }), { name: 'ExecutionAlreadyExists' });
  await send(DeleteStateMachineCommand, { stateMachineArn });
  await assert.rejects(send(DescribeStateMachineCommand, { stateMachineArn }), { name: 'StateMachineDoesNotExist' });
});
await check('activities', async () => {
  const { activityArn } = await send(CreateActivityCommand, { name: 'work' });
  const stateMachineArn = await create('worker', { W: { Type: 'Task', Resource: activityArn, HeartbeatSeconds: 600, End: true } });
  for (const good of [true, false]) {
    const { executionArn } = await send(StartExecutionCommand, { stateMachineArn, input: '{"n": 7}' });
    const task = await send(GetActivityTaskCommand, { activityArn, workerName: 'me' });
    assert.deepEqual(JSON.parse(task.input), { n: 7 });
    await send(SendTaskHeartbeatCommand, { taskToken: task.taskToken });
    if (good) await send(SendTaskSuccessCommand, { taskToken: task.taskToken, output: '[1]' });
    else await send(SendTaskFailureCommand, { taskToken: task.taskToken, error: 'Bad', cause: 'luck' });
    const found = await ended(executionArn);
    assert.deepEqual([found.status, found.output, found.error, found.cause], good ? ['SUCCEEDED', '[1]', undefined, undefined] : ['FAILED', undefined, 'Bad', 'luck']);
    await assert.rejects(send(SendTaskSuccessCommand, { taskToken: task.taskToken, output: '1' }), { name: 'TaskTimedOut' });
  }
});
await check('sync', async () => {
  const stateMachineArn = await create('quick', { A: { Type: 'Pass', End: true } }, 'EXPRESS');
  const found = await send(StartSyncExecutionCommand, { stateMachineArn, input: '{"a":1}' });
  assert.deepEqual([found.status, found.output], ['SUCCEEDED', '{"a":1}']);
});
await check('stop', async () => {
  const stateMachineArn = await create('long', { W: { Type: 'Wait', Seconds: 3600, End: true } });
  const { executionArn } = await send(StartExecutionCommand, { stateMachineArn });
  await send(StopExecutionCommand, { executionArn, cause: 'enough' });
  assert.deepEqual([(await ended(executionArn)).status, (await ended(executionArn)).cause], ['ABORTED', 'enough']);
});
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
