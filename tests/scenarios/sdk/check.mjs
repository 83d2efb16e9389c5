// The official OpenAI and Anthropic clients and the Vercel AI SDK against a running server.
// Environment: MAYFLY_URL, MAYFLY_API_KEY. Prints one line a check and 'N passed, N failed' last.
import assert from 'node:assert/strict';
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { createAnthropic } from '@ai-sdk/anthropic';
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { generateText, isStepCount, streamText, tool } from 'ai';
import { z } from 'zod';

const url = process.env.MAYFLY_URL;
const apiKey = process.env.MAYFLY_API_KEY;
const MODEL = 'script/any';
const options = { apiKey, maxRetries: 0 };
const models = new OpenAI({ ...options, baseURL: `${url}/gateway/openai/v1` });
const claude = new Anthropic({ ...options, baseURL: `${url}/gateway/anthropic` });
const agents = new OpenAI({ ...options, baseURL: `${url}/openai/v1` });
const ask = (content) => [{ role: 'user', content }];
const twoSteps = isStepCount(3);

let passed = 0;
let failed = 0;
async function check(name, run) {
  try {
    await run();
    passed += 1;
    console.log(`ok   ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAIL ${name}: ${error.stack ?? error}`);
  }
}
async function refusal(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('it was not refused');
}
async function chatStream(client, body) {
  const out = { text: '', finish: null, usage: null, chunks: 0, last: null };
  for await (const chunk of await client.chat.completions.create({ ...body, stream: true, stream_options: { include_usage: true } })) {
    out.text += chunk.choices[0]?.delta?.content ?? '';
    out.finish = chunk.choices[0]?.finish_reason ?? out.finish;
    out.usage = chunk.usage ?? out.usage;
    out.last = chunk.mayfly ?? out.last;
    out.chunks += 1;
  }
  return out;
}

const addTool = { type: 'function', function: { name: 'add', description: 'adds', parameters: { type: 'object', properties: { a: { type: 'number' }, b: { type: 'number' } } } } };

await check('openai: chat', async () => {
  const answer = await models.chat.completions.create({ model: MODEL, messages: ask('hello') });
  assert.equal(answer.choices[0].message.content, 'echo: hello');
  assert.equal(answer.choices[0].finish_reason, 'stop');
  assert.ok(answer.usage.total_tokens > 0);
});
await check('openai: an unknown model', async () => {
  const unknown = await refusal(models.chat.completions.create({ model: 'whatever', messages: ask('hello') }));
  assert.ok(unknown instanceof OpenAI.NotFoundError);
  assert.match(unknown.message, /script, slow/);
});
await check('openai: chat stream', async () => {
  const out = await chatStream(models, { model: MODEL, messages: ask('hello there') });
  assert.equal(out.text, 'echo: hello there');
  assert.equal(out.finish, 'stop');
  assert.ok(out.usage.total_tokens > 0);
});
await check('openai: chat stream with a tool, then its result', async () => {
  const runner = models.chat.completions.stream({ model: MODEL, messages: ask('please add'), tools: [addTool] });
  const message = (await runner.finalChatCompletion()).choices[0].message;
  assert.equal(message.content, 'Let me add.');
  assert.deepEqual(JSON.parse(message.tool_calls[0].function.arguments), { a: 2, b: 3 });
  const messages = [...ask('please add'), message, { role: 'tool', tool_call_id: message.tool_calls[0].id, content: '5' }];
  const answer = await models.chat.completions.create({ model: MODEL, messages, tools: [addTool] });
  assert.equal(answer.choices[0].message.content, 'The tool said 5.');
});
await check('openai: responses', async () => {
  const answer = await models.responses.create({ model: MODEL, input: 'hello', instructions: 'be kind' });
  assert.equal(answer.output_text, 'echo: hello');
  assert.equal(answer.instructions, 'be kind');
});
await check('openai: responses stream', async () => {
  const stream = models.responses.stream({ model: MODEL, input: 'hello there' });
  let text = '';
  stream.on('response.output_text.delta', (event) => { text += event.delta; });
  const final = await stream.finalResponse();
  assert.equal(text, 'echo: hello there');
  assert.equal(final.output_text, 'echo: hello there');
  assert.equal(final.status, 'completed');
});
await check('openai: responses stream with a tool', async () => {
  const stream = models.responses.stream({ model: MODEL, input: 'please add', tools: [{ type: 'function', name: 'add', parameters: addTool.function.parameters, strict: false }] });
  const final = await stream.finalResponse();
  const call = final.output.find((item) => item.type === 'function_call');
  assert.deepEqual(JSON.parse(call.arguments), { a: 2, b: 3 });
});
await check('openai: models', async () => {
  const ids = (await models.models.list()).data.map((model) => model.id);
  assert.ok(ids.includes(MODEL), ids.join());
});
await check('openai: errors name the field and the status', async () => {
  const many = await refusal(models.chat.completions.create({ model: MODEL, messages: ask('x'), n: 2 }));
  assert.ok(many instanceof OpenAI.BadRequestError);
  assert.equal(many.param, 'n');
  const stranger = await refusal(new OpenAI({ ...options, apiKey: 'sk-x', baseURL: `${url}/gateway/openai/v1` }).models.list());
  assert.ok(stranger instanceof OpenAI.AuthenticationError);
  const broken = await refusal(models.chat.completions.create({ model: MODEL, messages: ask('fail now') }));
  assert.ok(broken instanceof OpenAI.BadRequestError, String(broken));
  const early = await refusal(models.chat.completions.create({ model: MODEL, messages: ask('fail now'), stream: true }));
  assert.ok(early instanceof OpenAI.BadRequestError, 'a stream that fails before its first word has a status of its own');
});

await check('anthropic: message', async () => {
  const answer = await claude.messages.create({ model: MODEL, max_tokens: 64, messages: ask('hello') });
  assert.equal(answer.content[0].text, 'echo: hello');
  assert.equal(answer.stop_reason, 'end_turn');
  assert.ok(answer.usage.output_tokens > 0);
});
await check('anthropic: stream', async () => {
  const final = await claude.messages.stream({ model: MODEL, max_tokens: 64, messages: ask('hello there') }).finalMessage();
  assert.equal(final.content[0].text, 'echo: hello there');
  assert.equal(final.stop_reason, 'end_turn');
  assert.ok(final.usage.output_tokens > 0);
});
await check('anthropic: thinking, a tool in a stream, then its result', async () => {
  const tools = [{ name: 'add', description: 'adds', input_schema: { type: 'object' } }];
  const first = await claude.messages.stream({ model: MODEL, max_tokens: 64, messages: ask('please add'), tools }).finalMessage();
  assert.deepEqual(first.content.map((block) => block.type), ['thinking', 'text', 'tool_use']);
  assert.equal(first.content[0].thinking, 'two and three');
  assert.ok(first.content[0].signature);
  assert.deepEqual(first.content[2].input, { a: 2, b: 3 });
  assert.equal(first.stop_reason, 'tool_use');
  const messages = [...ask('please add'), { role: 'assistant', content: first.content },
    { role: 'user', content: [{ type: 'tool_result', tool_use_id: first.content[2].id, content: '5' }] }];
  const answer = await claude.messages.create({ model: MODEL, max_tokens: 64, messages, tools });
  assert.equal(answer.content[0].text, 'The tool said 5.');
});
await check('anthropic: errors', async () => {
  const broken = await refusal(claude.messages.create({ model: MODEL, max_tokens: 64, messages: ask('fail now') }));
  assert.ok(broken instanceof Anthropic.BadRequestError, String(broken));
  const stranger = await refusal(new Anthropic({ ...options, apiKey: 'sk-x', baseURL: `${url}/gateway/anthropic` }).messages.create({ model: MODEL, max_tokens: 4, messages: ask('x') }));
  assert.ok(stranger instanceof Anthropic.AuthenticationError);
});

const openai = createOpenAI({ apiKey, baseURL: `${url}/gateway/openai/v1` });
const vercel = {
  'openai responses': openai(MODEL),
  'openai chat': openai.chat(MODEL),
  'openai-compatible': createOpenAICompatible({ name: 'mayfly', baseURL: `${url}/gateway/openai/v1`, apiKey, includeUsage: true })(MODEL),
  anthropic: createAnthropic({ apiKey, baseURL: `${url}/gateway/anthropic/v1` })(MODEL),
};
for (const [name, model] of Object.entries(vercel)) {
  await check(`ai sdk, ${name}: stream`, async () => {
    const result = streamText({ model, prompt: 'hello', maxRetries: 0, onError({ error }) { throw error; } });
    let text = '';
    for await (const piece of result.textStream) text += piece;
    assert.equal(text, 'echo: hello');
    assert.ok((await result.usage).totalTokens > 0);
  });
  await check(`ai sdk, ${name}: tool loop`, async () => {
    const add = tool({ description: 'adds', inputSchema: z.object({ a: z.number(), b: z.number() }), execute: async ({ a, b }) => String(a + b) });
    const result = await generateText({ model, prompt: 'please add', maxRetries: 0, tools: { add }, stopWhen: twoSteps });
    assert.equal(result.text, 'The tool said 5.');
    assert.equal(result.steps.length, 2);
  });
  await check(`ai sdk, ${name}: streamed tool loop`, async () => {
    const add = tool({ description: 'adds', inputSchema: z.object({ a: z.number(), b: z.number() }), execute: async ({ a, b }) => String(a + b) });
    const result = streamText({ model, prompt: 'please add', maxRetries: 0, tools: { add }, stopWhen: twoSteps, onError({ error }) { throw error; } });
    let text = '';
    for await (const piece of result.textStream) text += piece;
    assert.match(text, /Let me add\.\s*The tool said 5\./);
  });
}

await check('agent: models', async () => {
  assert.deepEqual((await agents.models.list()).data.map((model) => model.id).sort(), ['asker', 'clerk', 'memo', 'slow']);
  assert.equal((await agents.models.retrieve('clerk')).id, 'clerk');
});
await check('agent: chat answers with the result only', async () => {
  const { data, response } = await agents.chat.completions.create({ model: 'clerk', messages: ask('please add') }).withResponse();
  assert.equal(data.choices[0].message.content, 'The tool said 5.');
  assert.equal(data.choices[0].message.tool_calls, undefined, 'its tools are its own');
  assert.match(response.headers.get('mayfly-run'), /^run_/);
  assert.equal(data.mayfly.status, 'SUCCEEDED');
  assert.ok(data.usage.total_tokens > 0);
});
await check('agent: chat stream', async () => {
  const out = await chatStream(agents, { model: 'clerk', messages: ask('please add') });
  assert.equal(out.text, 'Let me add.\n\nThe tool said 5.');
  assert.equal(out.finish, 'stop');
  assert.match(out.last.run, /^run_/);
});
await check('agent: responses, streamed and not', async () => {
  const answer = await agents.responses.create({ model: 'clerk', input: 'hello' });
  assert.equal(answer.output_text, 'echo: hello');
  const final = await agents.responses.stream({ model: 'clerk', input: 'hello' }).finalResponse();
  assert.equal(final.output_text, 'echo: hello');
});
await check('agent: the same idempotency key is the same run', async () => {
  const again = { headers: { 'Idempotency-Key': 'once-1' } };
  const body = { model: 'clerk', messages: ask('hello') };
  const first = await agents.chat.completions.create(body, again);
  const second = await agents.chat.completions.create(body, again);
  assert.equal(first.mayfly.run, second.mayfly.run);
});
await check('agent: a question to a person ends the answer', async () => {
  const { data, response } = await agents.chat.completions.create({ model: 'asker', messages: ask('ask somebody') }).withResponse();
  assert.equal(data.choices[0].finish_reason, 'stop');
  assert.match(data.choices[0].message.content, /Which colour\?/);
  assert.equal(data.mayfly.status, 'WAITING');
  assert.match(data.mayfly.question.text ?? data.mayfly.question.question, /Which colour\?/);
  assert.equal(response.headers.get('mayfly-waiting'), 'ask');
  const out = await chatStream(agents, { model: 'asker', messages: ask('ask somebody') });
  assert.match(out.text, /Which colour\?/);
  assert.equal(out.last.status, 'WAITING');
});
await check('agent: a keyed agent wants a session', async () => {
  const refused = await refusal(agents.chat.completions.create({ model: 'memo', messages: ask('hello') }));
  assert.equal(refused.code, 'session.required');
  const answer = await agents.chat.completions.create({ model: 'memo', messages: ask('hello'), metadata: { session: 'ann' } });
  assert.equal(answer.choices[0].message.content, 'echo: hello');
  const other = await agents.chat.completions.create({ model: 'memo', messages: ask('hello'), user: 'bob' });
  assert.equal(other.choices[0].message.content, 'echo: hello');
});
await check('agent: errors', async () => {
  const unknown = await refusal(agents.chat.completions.create({ model: 'nobody', messages: ask('x') }));
  assert.ok(unknown instanceof OpenAI.NotFoundError);
  assert.equal(unknown.code, 'model_not_found');
  const failed = await refusal(agents.chat.completions.create({ model: 'clerk', messages: ask('fail now') }));
  assert.equal(failed.status, 500, String(failed));
  const tools = await refusal(agents.chat.completions.create({ model: 'clerk', messages: ask('x'), tools: [addTool] }));
  assert.equal(tools.param, 'tools');
});
const agentOpenai = createOpenAI({ apiKey, baseURL: `${url}/openai/v1` });
for (const [name, model] of [['responses', agentOpenai('clerk')], ['chat', agentOpenai.chat('clerk')]]) {
  await check(`ai sdk, agent by ${name}: stream`, async () => {
    const result = streamText({ model, prompt: 'please add', maxRetries: 0, onError({ error }) { throw error; } });
    let text = '';
    for await (const piece of result.textStream) text += piece;
    assert.equal(text, 'Let me add.\n\nThe tool said 5.');
  });
}
async function abandoned(client, body) {
  const controller = new AbortController();
  const stream = await client.chat.completions.create({ ...body, stream: true }, { signal: controller.signal });
  for await (const chunk of stream) if (chunk.choices[0]?.delta?.content) break;
  controller.abort();
}
async function rest(path) {
  return (await fetch(`${url}${path}`, { headers: { Authorization: `Bearer ${apiKey}` } })).json();
}
async function eventually(look) {
  for (let i = 0; i < 600; i += 1) {
    const found = await look();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('it did not happen');
}
await check('gateway: a client that leaves cancels the model call', async () => {
  await abandoned(models, { model: 'slow/any', messages: ask('endless') });
  const counted = await eventually(async () => (await rest('/v1/usage')).usage[0].models['slow/any']);
  assert.equal(counted.failures, 1);
  assert.equal(counted.output_tokens, 0);
});
await check('agent: a client that leaves does not cancel the run', async () => {
  await abandoned(agents, { model: 'slow', messages: ask('short') });
  const run = await eventually(async () => (await rest('/v1/runs?agent=slow')).runs.find((each) => each.status !== 'RUNNING'));
  assert.equal(run.status, 'SUCCEEDED');
});
await check('usage is counted by key and model', async () => {
  const answer = await fetch(`${url}/v1/usage`, { headers: { Authorization: `Bearer ${apiKey}` } });
  const { usage } = await answer.json();
  const counted = usage[0].models[MODEL];
  assert.ok(counted.calls >= 10 && counted.output_tokens > 0, JSON.stringify(usage));
});

console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
