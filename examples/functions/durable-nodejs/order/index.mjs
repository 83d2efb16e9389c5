import { withDurableExecution } from "@aws/durable-execution-sdk-js";

export const handler = withDurableExecution(async (event, context) => {
  const reservation = await context.step("reserve", async () => ({ item: event.item, reservation: `R-${event.item.length}` }));
  // A person or another system answers: `mayfly executions history` shows the callback's id.
  const [approval] = await context.createCallback("approval", { timeout: { days: 2 } });
  if ((await approval) !== "yes") return { ...reservation, cancelled: true };
  await context.wait("cooling-off", { seconds: event.cooling_off_seconds ?? 1 });
  return context.step("charge", async () => ({ ...reservation, charged: true }));
});
