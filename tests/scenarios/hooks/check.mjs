// Other makers' libraries against Mayfly: node check.mjs URL KEY SECRET PORT. `standardwebhooks` signs and verifies, `cloudevents` makes and reads.
import { CloudEvent, HTTP } from 'cloudevents';
import http from 'node:http';
import { Webhook } from 'standardwebhooks';

const [url, key, secret, port] = process.argv.slice(2);
let passed = 0, failed = 0;
const check = (name, good, detail = '') => {
  good ? ++passed : ++failed;
  console.log(`${good ? 'ok  ' : 'FAIL'} ${name}${good ? '' : ' ' + detail}`);
};
const api = (method, path, body, headers = {}) => fetch(url + path, { method, headers: { authorization: 'Bearer ' + key, 'content-type': 'application/json', ...headers },
  body: body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body) });
const depth = async (queue) => (await (await api('GET', '/v1/queues/' + queue)).json()).depth?.visible ?? -1;

// In: signed by the library.
const hook = new Webhook(secret), body = JSON.stringify({ type: 'invoice.paid', data: { id: 7 } });
const send = (id, text, signature) => fetch(url + '/hooks/standard', { method: 'POST', body: text,
  headers: { 'content-type': 'application/json', 'webhook-id': id, 'webhook-timestamp': String(Math.floor(Date.now() / 1000)), 'webhook-signature': signature } });
const sign = (id, text) => hook.sign(id, new Date(), text);
check('a webhook signed by standardwebhooks is taken', (await send('msg_1', body, sign('msg_1', body))).status < 300);
check('the same delivery again is taken', (await send('msg_1', body, sign('msg_1', body))).status < 300);
check('another body under that signature is refused', (await send('msg_2', body + ' ', sign('msg_2', body))).status === 401);

// In: events made by the library, in both modes.
for (const [mode, make] of [['binary', HTTP.binary], ['structured', HTTP.structured]]) {
  const message = make(new CloudEvent({ type: 'shop.order', source: 'shop', subject: 'order-7', id: mode, data: { n: 1 } }));
  const answer = await api('POST', '/v1/events', message.body, message.headers);
  check(`an event of cloudevents in ${mode} mode is taken`, answer.status === 202, `${answer.status} ${await answer.text()}`);
}

// Out: what Mayfly sends is verified and read by the libraries.
let told;
const arrived = new Promise((done) => (told = done));
const receiver = http.createServer((request, response) => {
  let text = '';
  request.on('data', (part) => (text += part)).on('end', () => { response.end(); told({ headers: request.headers, text }); });
});
await new Promise((ready) => receiver.listen(Number(port), '127.0.0.1', ready));
await api('PUT', '/v1/endpoints/out', { url: `http://127.0.0.1:${port}/in`, private_network: true, types: ['shop.told'] });
const ours = (await (await api('GET', '/v1/endpoints/out/secret')).json()).secret;
const event = HTTP.structured(new CloudEvent({ type: 'shop.told', source: 'shop', id: 'out-1', data: { total: 12 } }));
await api('POST', '/v1/events', event.body, event.headers);
const { headers, text } = await arrived;
let verified = '';
try { new Webhook(ours).verify(text, headers); } catch (error) { verified = error.message; }
check('what is sent is verified by standardwebhooks', verified === '', verified);
let read;
try { read = new CloudEvent(JSON.parse(text)); } catch (error) { read = { problem: error.message }; }
check('and is an event for cloudevents', read.type === 'shop.told' && read.data?.total === 12, JSON.stringify(read));
receiver.close();
for (let i = 0; i < 500 && (await depth('got')) < 3; ++i) await new Promise((again) => setTimeout(again, 20));
check('each event lies in the queue once', (await depth('got')) === 3, String(await depth('got')));
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
