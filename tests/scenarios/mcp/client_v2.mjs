// usage: node client_v2.mjs URL KEY auto|legacy|pin     the official SDK that speaks both eras.
import assert from 'node:assert/strict';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

const [url, key, mode] = process.argv.slice(2);
const versionNegotiation = mode === 'pin' ? { mode: { pin: '2026-07-28' } } : { mode };
const client = new Client({ name: 'scenario-v2', version: '1' }, { capabilities: {}, versionNegotiation });
await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers: { Authorization: `Bearer ${key}` } } }));
assert.equal(client.getNegotiatedProtocolVersion(), mode === 'legacy' ? '2025-11-25' : '2026-07-28');
const names = (await client.listTools()).tools.map((tool) => tool.name);
assert.ok(names.includes('test_simple_text') && names.includes('run_get'), `tools: ${names}`);
const answer = await client.callTool({ name: 'test_simple_text', arguments: {} });
assert.equal(answer.content[0].text, 'This is a simple text response for testing.');
const header = await client.callTool({ name: 'test_custom_header', arguments: { region: 'é u' } });
assert.equal(header.content[0].text, 'The region is é u');
assert.equal((await client.readResource({ uri: 'test://template/7/data' })).contents[0].mimeType, 'application/json');
await client.close();
console.log('1 passed, 0 failed');
