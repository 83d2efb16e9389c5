// llm_stub.mjs PORT: an OpenAI-compatible server whose answer of ten tokens is ready at once.
import http from 'node:http'
const chunk = (delta, finish) => `data: ${JSON.stringify({ id: 'c1', object: 'chat.completion.chunk', created: 1, model: 'stub', choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`
const usage = `data: ${JSON.stringify({ id: 'c1', object: 'chat.completion.chunk', created: 1, model: 'stub', choices: [], usage: { prompt_tokens: 20, completion_tokens: 10, total_tokens: 30 } })}\n\n`
const head = chunk({ role: 'assistant', content: 'word ' }, null)
const rest = Array(9).fill(chunk({ content: 'word ' }, null)).join('') + chunk({}, 'stop') + usage + 'data: [DONE]\n\n'
http.createServer((request, response) => {
  request.resume().on('end', () => {
    if (request.method !== 'POST') return response.end('ok')
    response.socket.setNoDelay(true)
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write(head)
    response.end(rest)
  })
}).listen(+process.argv[2], '127.0.0.1')
