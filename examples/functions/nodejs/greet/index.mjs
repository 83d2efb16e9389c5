// Called with an event (`mayfly fn invoke`) or by HTTP (function URL: the event is the request).
export const handler = async (event) => {
  const asked = event.requestContext ? JSON.parse(event.body || "{}") : event;
  if (!asked.name) return { statusCode: 400, body: JSON.stringify({ error: "send {\"name\": …}" }) };
  console.log(`greeting ${asked.name}`);
  return { statusCode: 200, headers: { "content-type": "application/json" }, body: JSON.stringify({ greeting: `Hello ${asked.name}` }) };
};
