"""The sequence of operations that is played against Mayfly and against moto. `$name` stands for what an earlier step saved."""

import base64

MASKED = {"MessageId", "ReceiptHandle", "SequenceNumber", "NextToken", "SentTimestamp", "ApproximateFirstReceiveTimestamp", "CreatedTimestamp",
          "LastModifiedTimestamp", "SenderId"}
BINARY = {"$bytes": "AAH/"}  # base64
TEXT = {"DataType": "String", "StringValue": "ünï"}


def step(label, op, save=None, **parameters):
    return {"label": label, "op": op, "in": parameters, "save": save or {}}


def steps(arn):
    """`arn` makes the ARN of a queue's name in the server's account."""
    redrive = '{"deadLetterTargetArn":"%s","maxReceiveCount":"2"}'
    entry = lambda number, **more: {"Id": f"e{number}", "MessageBody": f"body {number}", **more}  # noqa: E731
    fifo = lambda body, group, dedup: {"MessageBody": body, "MessageGroupId": group, "MessageDeduplicationId": dedup}  # noqa: E731
    return [
        step("list nothing", "ListQueues"),
        step("create", "CreateQueue", {"jobs": "QueueUrl"}, QueueName="jobs", Attributes={"VisibilityTimeout": "40"}, tags={"team": "a"}),
        step("create again", "CreateQueue", QueueName="jobs", Attributes={"VisibilityTimeout": "40"}),
        step("create otherwise", "CreateQueue", QueueName="jobs", Attributes={"VisibilityTimeout": "41"}),
        step("create with a bad name", "CreateQueue", QueueName="a b"),
        step("create dead", "CreateQueue", {"dead": "QueueUrl"}, QueueName="dead"),
        step("create work", "CreateQueue", {"work": "QueueUrl"}, QueueName="work",
             Attributes={"RedrivePolicy": redrive % arn("dead"), "VisibilityTimeout": "0"}),
        step("create fifo", "CreateQueue", {"fifo": "QueueUrl"}, QueueName="orders.fifo",
             Attributes={"FifoQueue": "true", "ContentBasedDeduplication": "false"}),
        step("create fifo without suffix", "CreateQueue", QueueName="orders", Attributes={"FifoQueue": "true"}),
        step("url", "GetQueueUrl", QueueName="jobs"),
        step("url of nothing", "GetQueueUrl", QueueName="nothing"),
        step("list", "ListQueues"),
        step("list by prefix", "ListQueues", QueueNamePrefix="jo"),
        step("list a page", "ListQueues", {"page": "NextToken"}, MaxResults=2),
        step("list the next page", "ListQueues", MaxResults=2, NextToken="$page"),
        step("attributes none", "GetQueueAttributes", QueueUrl="$jobs"),
        step("attributes some", "GetQueueAttributes", QueueUrl="$jobs", AttributeNames=["VisibilityTimeout", "QueueArn", "DelaySeconds"]),
        step("attributes all", "GetQueueAttributes", QueueUrl="$jobs", AttributeNames=["All"]),
        step("attributes of fifo", "GetQueueAttributes", QueueUrl="$fifo", AttributeNames=["All"]),
        step("attributes of work", "GetQueueAttributes", QueueUrl="$work", AttributeNames=["RedrivePolicy"]),
        step("attributes unknown", "GetQueueAttributes", QueueUrl="$jobs", AttributeNames=["Nonsense"]),
        step("set", "SetQueueAttributes", QueueUrl="$jobs", Attributes={"DelaySeconds": "0", "MaximumMessageSize": "2048"}),
        step("set got", "GetQueueAttributes", QueueUrl="$jobs", AttributeNames=["MaximumMessageSize"]),
        step("dead-letter sources", "ListDeadLetterSourceQueues", QueueUrl="$dead"),
        step("tags", "ListQueueTags", QueueUrl="$jobs"),
        step("tag", "TagQueue", QueueUrl="$jobs", Tags={"team": "b", "cost": "7"}),
        step("tags after", "ListQueueTags", QueueUrl="$jobs"),
        step("untag", "UntagQueue", QueueUrl="$jobs", TagKeys=["cost"]),
        step("tags at last", "ListQueueTags", QueueUrl="$jobs"),
        step("permit", "AddPermission", QueueUrl="$jobs", Label="l1", AWSAccountIds=["111111111111"], Actions=["SendMessage"]),
        step("permit again", "AddPermission", QueueUrl="$jobs", Label="l1", AWSAccountIds=["111111111111"], Actions=["SendMessage"]),
        step("policy", "GetQueueAttributes", QueueUrl="$jobs", AttributeNames=["Policy"]),
        step("forbid", "RemovePermission", QueueUrl="$jobs", Label="l1"),
        step("forbid again", "RemovePermission", QueueUrl="$jobs", Label="l1"),
        step("receive nothing", "ReceiveMessage", QueueUrl="$jobs"),
        step("send", "SendMessage", QueueUrl="$jobs", MessageBody="hello <ünï> & \"more\"\r\n\tend"),
        step("receive", "ReceiveMessage", {"h1": "Messages.0.ReceiptHandle"}, QueueUrl="$jobs", AttributeNames=["All"]),
        step("in flight", "GetQueueAttributes", QueueUrl="$jobs",
             AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]),
        step("invisible", "ReceiveMessage", QueueUrl="$jobs"),
        step("make visible", "ChangeMessageVisibility", QueueUrl="$jobs", ReceiptHandle="$h1", VisibilityTimeout=0),
        step("receive again", "ReceiveMessage", {"h2": "Messages.0.ReceiptHandle"}, QueueUrl="$jobs", WaitTimeSeconds=2, VisibilityTimeout=30,
             AttributeNames=["ApproximateReceiveCount"]),
        step("delete", "DeleteMessage", QueueUrl="$jobs", ReceiptHandle="$h2"),
        step("delete twice", "DeleteMessage", QueueUrl="$jobs", ReceiptHandle="$h2"),
        step("delete nonsense", "DeleteMessage", QueueUrl="$jobs", ReceiptHandle="nonsense"),
        step("send with attributes", "SendMessage", QueueUrl="$jobs", MessageBody="m",
             MessageAttributes={"t": TEXT, "n": {"DataType": "Number.int", "StringValue": "12"}, "b": {"DataType": "Binary.png", "BinaryValue": BINARY}},
             MessageSystemAttributes={"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1-5759e988-bd862e3fe1be46a994272793"}}),
        step("receive with attributes", "ReceiveMessage", {"h3": "Messages.0.ReceiptHandle"}, QueueUrl="$jobs", MessageAttributeNames=["All"],
             AttributeNames=["AWSTraceHeader"]),
        step("delete that", "DeleteMessage", QueueUrl="$jobs", ReceiptHandle="$h3"),
        step("send a bad attribute", "SendMessage", QueueUrl="$jobs", MessageBody="m", MessageAttributes={"a b": TEXT}),
        step("send a typeless attribute", "SendMessage", QueueUrl="$jobs", MessageBody="m",
             MessageAttributes={"a": {"DataType": "Nonsense", "StringValue": "x"}}),
        step("send too much", "SendMessage", QueueUrl="$jobs", MessageBody="x" * 2049),
        step("send with a long delay", "SendMessage", QueueUrl="$jobs", MessageBody="m", DelaySeconds=901),
        step("send to nothing", "SendMessage", QueueUrl="$jobs-nothing", MessageBody="m"),
        step("send a control character", "SendMessage", QueueUrl="$jobs", MessageBody="a\x01b"),
        step("send delayed", "SendMessage", QueueUrl="$jobs", MessageBody="later", DelaySeconds=900),
        step("delayed", "GetQueueAttributes", QueueUrl="$jobs", AttributeNames=["ApproximateNumberOfMessagesDelayed"]),
        step("purge", "PurgeQueue", QueueUrl="$jobs"),
        step("purged", "GetQueueAttributes", QueueUrl="$jobs", AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesDelayed"]),
        step("send a batch", "SendMessageBatch", QueueUrl="$jobs", Entries=[entry(1), entry(2, MessageAttributes={"t": TEXT}), entry(3)]),
        step("receive a batch", "ReceiveMessage", {"b1": "Messages.0.ReceiptHandle", "b2": "Messages.1.ReceiptHandle"}, QueueUrl="$jobs",
             MaxNumberOfMessages=2),
        step("change a batch", "ChangeMessageVisibilityBatch", QueueUrl="$jobs",
             Entries=[{"Id": "a", "ReceiptHandle": "$b1", "VisibilityTimeout": 30}, {"Id": "b", "ReceiptHandle": "$b2", "VisibilityTimeout": 60}]),
        step("delete a batch", "DeleteMessageBatch", QueueUrl="$jobs",
             Entries=[{"Id": "a", "ReceiptHandle": "$b1"}, {"Id": "b", "ReceiptHandle": "$b2"}, {"Id": "c", "ReceiptHandle": "nonsense"}]),
        step("batch of nothing", "SendMessageBatch", QueueUrl="$jobs", Entries=[]),
        step("batch of eleven", "SendMessageBatch", QueueUrl="$jobs", Entries=[entry(i) for i in range(11)]),
        step("batch with one id", "SendMessageBatch", QueueUrl="$jobs", Entries=[entry(1), entry(1)]),
        step("batch with a bad id", "SendMessageBatch", QueueUrl="$jobs", Entries=[{"Id": "a b", "MessageBody": "m"}]),
        step("receive eleven", "ReceiveMessage", QueueUrl="$jobs", MaxNumberOfMessages=11),
        step("receive for long", "ReceiveMessage", QueueUrl="$jobs", WaitTimeSeconds=21),
        step("visibility too long", "ReceiveMessage", QueueUrl="$jobs", VisibilityTimeout=43201),
        step("fifo without group", "SendMessage", QueueUrl="$fifo", MessageBody="m", MessageDeduplicationId="d0"),
        step("fifo without deduplication", "SendMessage", QueueUrl="$fifo", MessageBody="m", MessageGroupId="g"),
        step("fifo with delay", "SendMessage", QueueUrl="$fifo", DelaySeconds=1, **fifo("m", "g", "d0")),
        step("fifo 1", "SendMessage", QueueUrl="$fifo", **fifo("first", "g", "d1")),
        step("fifo 2", "SendMessage", QueueUrl="$fifo", **fifo("second", "g", "d2")),
        step("fifo duplicate", "SendMessage", QueueUrl="$fifo", **fifo("first", "g", "d1")),
        step("fifo other group", "SendMessage", QueueUrl="$fifo", **fifo("other", "h", "d3")),
        step("fifo receive", "ReceiveMessage", {"f1": "Messages.0.ReceiptHandle"}, QueueUrl="$fifo", AttributeNames=["All"]),
        step("fifo delete", "DeleteMessage", QueueUrl="$fifo", ReceiptHandle="$f1"),
        step("fifo receive on", "ReceiveMessage", QueueUrl="$fifo", MaxNumberOfMessages=10, AttributeNames=["MessageGroupId", "MessageDeduplicationId"]),
        step("poison", "SendMessage", QueueUrl="$work", MessageBody="poison"),
        step("poison 1", "ReceiveMessage", QueueUrl="$work", AttributeNames=["ApproximateReceiveCount"]),
        step("poison 2", "ReceiveMessage", QueueUrl="$work", AttributeNames=["ApproximateReceiveCount"]),
        step("poison 3", "ReceiveMessage", QueueUrl="$work"),
        step("dead", "ReceiveMessage", QueueUrl="$dead", WaitTimeSeconds=1, VisibilityTimeout=0),
        step("bad redrive", "SetQueueAttributes", QueueUrl="$work", Attributes={"RedrivePolicy": redrive % arn("nowhere")}),
        step("no redrive", "SetQueueAttributes", QueueUrl="$work", Attributes={"RedrivePolicy": ""}),
        step("no sources", "ListDeadLetterSourceQueues", QueueUrl="$dead"),
        step("delete queue", "DeleteQueue", QueueUrl="$work"),
        step("deleted", "GetQueueUrl", QueueName="work"),
    ]


def masked(value, account, name=""):
    if name in MASKED:
        return f"<{name}>"
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, dict):
        return {k: masked(v, account, k) for k, v in value.items() if k not in ("ResponseMetadata", "Message")}
    if isinstance(value, list):
        return [masked(v, account) for v in value]
    if isinstance(value, str) and value.startswith("http://"):
        return "<url>/" + value.rsplit("/", 1)[1]
    return value.replace(account, "ACCOUNT") if isinstance(value, str) else value
