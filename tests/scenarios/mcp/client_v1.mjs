// usage: node client_v1.mjs URL KEY     the official SDK of the older era: a session, lists, a call with progress, sampling, resources, prompts.
import assert from 'node:assert/strict';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { CreateMessageRequestSchema } from '@modelcontextprotocol/sdk/types.js';

const [url, key] = process.argv.slice(2);
const client = new Client({ name: 'scenario-v1', version: '1' }, { capabilities: { sampling: {} } });
client.setRequestHandler(CreateMessageRequestSchema, async (request) => ({
  role: 'assistant', model: 'm', content: { type: 'text', text: `asked: ${request.params.messages[0].content.text}` },
}));
const transport = new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers: { Authorization: `Bearer ${key}` } } });
await client.connect(transport);
assert.equal(transport.protocolVersion, '2025-11-25');
assert.equal(client.getServerVersion().name, 'mayfly');
const names = (await client.listTools()).tools.map((tool) => tool.name);
assert.ok(names.includes('test_simple_text') && names.includes('run_get'), `tools: ${names}`);
const steps = [];
await client.callTool({ name: 'test_tool_with_progress', arguments: {} }, undefined, { onprogress: (progress) => steps.push(progress.progress) });
assert.deepEqual(steps, [0, 50, 100]);
const sampled = await client.callTool({ name: 'test_sampling', arguments: { prompt: 'Hi' } });
assert.equal(sampled.content[0].text, 'LLM response: asked: Hi');
assert.equal((await client.readResource({ uri: 'test://static-text' })).contents[0].text, 'This is the content of the static text resource.');
const prompt = await client.getPrompt({ name: 'test_prompt_with_arguments', arguments: { arg1: 'a', arg2: 'b' } });
assert.match(prompt.messages[0].content.text, /arg1='a', arg2='b'/);
await client.subscribeResource({ uri: 'test://watched-resource' });
await transport.terminateSession();
await client.close();
console.log('1 passed, 0 failed');
