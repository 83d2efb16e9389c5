// The official A2A client against Mayfly: node client_check.mjs BASE_URL KEY BINDING. Prints one line a check.
import { ClientFactory, JsonRpcTransportFactory, RestTransportFactory } from '@a2a-js/sdk/client';
import { Role, TaskState } from '@a2a-js/sdk';
import { randomUUID } from 'node:crypto';
import http from 'node:http';

const [url, key, binding] = process.argv.slice(2);
const plain = globalThis.fetch;
globalThis.fetch = (input, init = {}) => {
  const headers = new Headers(init.headers);
  headers.set('Authorization', 'Bearer ' + key);
  return plain(input, { ...init, headers });
};
let passed = 0, failed = 0;
const check = (name, good, detail = '') => {
  good ? ++passed : ++failed;
  console.log(`${good ? 'ok  ' : 'FAIL'} ${binding} ${name}${good ? '' : ' ' + detail}`);
};
const message = (text, more = {}) => ({ messageId: randomUUID(), contextId: '', taskId: '', role: Role.ROLE_USER, metadata: undefined, extensions: [],
  referenceTaskIds: [], parts: [{ content: { $case: 'text', value: text }, metadata: undefined, filename: '', mediaType: 'text/plain' }], ...more });
const request = (text, more, configuration) => ({ tenant: '', configuration, metadata: undefined, message: message(text, more) });
const textOf = (task) => task?.artifacts?.[0]?.parts?.[0]?.content?.value;
const taskOf = (result) => result?.payload?.value ?? result;

const factory = new ClientFactory({ transports: [new JsonRpcTransportFactory(), new RestTransportFactory()], preferredTransports: [binding], clientConfig: {} });
const client = await factory.createFromUrl(url + '/a2a/hello/');
check('negotiates 1.0', client.protocolVersion === '1.0', client.protocolVersion);

const first = taskOf(await client.sendMessage(request('hello there')));
check('a message is answered', first.status?.state === TaskState.TASK_STATE_COMPLETED && /hello there/.test(textOf(first) ?? ''), JSON.stringify(first));
const again = await client.getTask({ tenant: '', id: first.id });
check('the task can be read', again.id === first.id && textOf(again) === textOf(first), JSON.stringify(again));
check('the history holds what was asked', again.history?.[0]?.parts?.[0]?.content?.value === 'hello there', JSON.stringify(again.history));

const kinds = [], texts = [];
for await (const event of client.sendMessageStream(request('stream me'))) {
  kinds.push(event.payload.$case);
  if (event.payload.$case === 'artifactUpdate') {
    const text = event.payload.value.artifact.parts[0].content.value;
    if (event.payload.value.append) texts.push(texts.pop() + text); else texts.push(text);
  }
}
check('a stream begins with the task', kinds[0] === 'task', kinds.join());
check('a stream ends with the state', kinds.at(-1) === 'statusUpdate' && kinds.includes('artifactUpdate'), kinds.join());
check('what streams is what is answered', /stream me/.test(texts.at(-1)), JSON.stringify(texts));

const list = await client.listTasks({ tenant: '', contextId: '', status: 0, pageToken: '', pageSize: 1 });
check('tasks are listed in pages', list.tasks.length === 1 && list.totalSize === 2 && list.nextPageToken !== '', JSON.stringify(list));
const rest = await client.listTasks({ tenant: '', contextId: '', status: 0, pageToken: list.nextPageToken });
check('the next page goes on', rest.tasks.length === 1 && rest.tasks[0].id !== list.tasks[0].id, JSON.stringify(rest));

let refused = '';
try { await client.getTask({ tenant: '', id: 'run_00000000000000000000000000' }); } catch (error) { refused = error.name + ' ' + error.message; }
check('an unknown task is TaskNotFound', /NotFound/i.test(refused), refused);
refused = '';
try { await client.cancelTask({ tenant: '', id: first.id, metadata: undefined }); } catch (error) { refused = error.name + ' ' + error.message; }
check('an ended task cannot be cancelled', /NotCancelable|ended/i.test(refused), refused);

// A task that asks a person: input required, then answered in the same task.
const asker = await factory.createFromUrl(url + '/a2a/asker/');
const asked = taskOf(await asker.sendMessage(request('please ask')));
check('a question is input-required', asked.status?.state === TaskState.TASK_STATE_INPUT_REQUIRED, JSON.stringify(asked));
const pushed = [];
const receiver = http.createServer((q, r) => {
  let body = '';
  q.on('data', (c) => (body += c)).on('end', () => { pushed.push({ token: q.headers['x-a2a-notification-token'], body: JSON.parse(body) }); r.end(); });
});
const port = Number(process.env.PUSH_PORT);
await new Promise((ready) => receiver.listen(port, '127.0.0.1', ready));
const config = await asker.createTaskPushNotificationConfig({ tenant: '', id: 'news', taskId: asked.id, url: `http://127.0.0.1:${port}/news`, token: 't0ken', authentication: undefined });
check('a push configuration is kept', config.id === 'news', JSON.stringify(config));
const configs = await asker.listTaskPushNotificationConfig({ tenant: '', taskId: asked.id, pageSize: 10, pageToken: '' });
check('push configurations are listed', configs.configs?.length === 1, JSON.stringify(configs));
const answered = taskOf(await asker.sendMessage(request('blue', { taskId: asked.id, contextId: asked.contextId })));
check('the answer goes on with the task', answered.id === asked.id && answered.status?.state === TaskState.TASK_STATE_COMPLETED, JSON.stringify(answered));
for (let i = 0; i < 500 && !pushed.some((p) => p.body.task?.status?.state === 'TASK_STATE_COMPLETED'); ++i) await new Promise((r) => setTimeout(r, 20));
check('its end is pushed with the token', pushed.some((p) => p.token === 't0ken' && p.body.task?.status?.state === 'TASK_STATE_COMPLETED'), JSON.stringify(pushed));
receiver.close();

// Cancel, and subscribe to what runs.
const slow = taskOf(await asker.sendMessage(request('please ask', {}, { acceptedOutputModes: [], taskPushNotificationConfig: undefined, returnImmediately: true })));
const cancelled = await asker.cancelTask({ tenant: '', id: slow.id, metadata: undefined });
check('a task can be cancelled', cancelled.status?.state === TaskState.TASK_STATE_CANCELED, JSON.stringify(cancelled));
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
