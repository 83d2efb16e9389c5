"""Runs a Python handler: loads it, takes events from the Lambda Runtime API and posts what it returns.

Kept thin, since every import here is part of each cold start: one raw socket instead of an HTTP client.
Protocol: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html; error types and shapes as AWS's own Python runtime.
"""

import json
import os
import socket
import sys
import time

API_VERSION = "/2018-06-01/runtime/"
HEADER_BYTES_MAX = 1 << 20
NO_BREAK_SPACE = "\u00a0"


class Fault(Exception):
    """A failure that the platform knows by name."""

    def __init__(self, error_type, message, trace=None):
        super().__init__(message)
        self.error_type = error_type
        self.message = message
        self.trace = trace or []


class RuntimeClient:
    """The Runtime API over one kept-alive connection."""

    def __init__(self, address):
        host, _, port = address.rpartition(":")
        self.address = (host, int(port))
        self.socket = None
        self.buffer = b""

    def next(self):
        """Headers (lower case) and body of the next event."""
        status, headers, body = self._request(b"GET", "invocation/next", b"")
        if status != 200:
            raise ConnectionError("the Runtime API answered %d" % status)
        return headers, body

    def respond(self, request_id, body, content_type):
        return self._request(b"POST", "invocation/%s/response" % request_id, body, "Content-Type: %s\r\n" % content_type)[0]

    def stream(self, request_id, content_type, first, pieces):
        """An answer in pieces; an exception of `pieces` ends it with an error that its reader hears of."""
        fields = "Content-Type: %s\r\nLambda-Runtime-Function-Response-Mode: streaming\r\nTransfer-Encoding: chunked\r\n" % content_type
        trailer = "Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\r\n"
        head = "POST %sinvocation/%s/response HTTP/1.1\r\nHost: %s:%d\r\n%s%s\r\n" % (API_VERSION, request_id, *self.address, fields, trailer)
        self.socket.sendall(head.encode("latin-1", "replace"))
        end = b"0\r\n\r\n"
        try:
            if first:
                self.socket.sendall(b"%x\r\n%s\r\n" % (len(first), first))
            for piece in pieces:
                if piece:
                    self.socket.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
        except Exception as error:
            import base64

            document = error_document(error, request_id)
            log_error(document)
            body = base64.b64encode(json.dumps(document).encode()).decode()
            end = ("0\r\nLambda-Runtime-Function-Error-Type: %s\r\nLambda-Runtime-Function-Error-Body: %s\r\n\r\n" % (
                one_line(document["errorType"]), body)).encode()
        return self._exchange(end)[0]

    def fail(self, request_id, error):
        return self._post_error("invocation/%s/error" % request_id, error)

    def fail_init(self, error):
        return self._post_error("init/error", error)

    def _post_error(self, path, error):
        fields = "Content-Type: application/vnd.aws.lambda.error+json\r\nLambda-Runtime-Function-Error-Type: %s\r\n" % one_line(error["errorType"])
        return self._request(b"POST", path, json.dumps(error).encode(), fields)[0]

    def _request(self, method, path, body, fields=""):
        head = "%s %s%s HTTP/1.1\r\nHost: %s:%d\r\n%sContent-Length: %d\r\n\r\n" % (
            method.decode(), API_VERSION, path, *self.address, fields, len(body))
        message = head.encode("latin-1", "replace") + body
        fresh = self.socket is None
        try:
            return self._exchange(message)
        except (ConnectionError, BrokenPipeError):
            # A connection may end while the handler works; an event is never handed out twice.
            self._close()
            if fresh:
                raise
            return self._exchange(message)

    def _exchange(self, message):
        if self.socket is None:
            self.socket = socket.create_connection(self.address)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(message)
        while (end := self.buffer.find(b"\r\n\r\n")) < 0:
            if len(self.buffer) > HEADER_BYTES_MAX:
                raise ConnectionError("the Runtime API's header is too large")
            self._read(65536)
        lines = self.buffer[:end].split(b"\r\n")
        self.buffer = self.buffer[end + 4:]
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(b":")
            headers[name.strip().lower().decode("latin-1")] = value.strip().decode("utf-8", "replace")
        length = int(headers.get("content-length", "0"))
        if length > len(self.buffer):
            parts, missing = [self.buffer], length - len(self.buffer)
            while missing:
                part = self.socket.recv(min(missing, 1 << 20))
                if not part:
                    raise ConnectionError("the Runtime API closed the connection")
                parts.append(part)
                missing -= len(part)
            self.buffer = b"".join(parts)
        body, self.buffer = self.buffer[:length], self.buffer[length:]
        status = int(lines[0].split(b" ", 2)[1])
        if headers.get("connection", "").lower() == "close":
            self._close()
        return status, headers, body

    def _read(self, size):
        part = self.socket.recv(size)
        if not part:
            raise ConnectionError("the Runtime API closed the connection")
        self.buffer += part

    def _close(self):
        if self.socket is not None:
            self.socket.close()
        self.socket = None
        self.buffer = b""


class CognitoIdentity:
    __slots__ = ("cognito_identity_id", "cognito_identity_pool_id")

    def __init__(self, fields):
        self.cognito_identity_id = fields.get("cognitoIdentityId")
        self.cognito_identity_pool_id = fields.get("cognitoIdentityPoolId")

    def __repr__(self):
        return describe(self, self.__slots__)


class Client:
    __slots__ = ("installation_id", "app_title", "app_version_name", "app_version_code", "app_package_name")

    def __init__(self, fields):
        for name in self.__slots__:
            setattr(self, name, fields.get(name))

    def __repr__(self):
        return describe(self, self.__slots__)


class ClientContext:
    __slots__ = ("custom", "env", "client")

    def __init__(self, fields):
        self.custom = fields.get("custom")
        self.env = fields.get("env")
        client = fields.get("client")
        self.client = Client(client) if isinstance(client, dict) else None

    def __repr__(self):
        return describe(self, self.__slots__)


class LambdaContext:
    """https://docs.aws.amazon.com/lambda/latest/dg/python-context.html"""

    def __init__(self, headers):
        environment = os.environ
        self.aws_request_id = headers.get("lambda-runtime-aws-request-id")
        self.log_group_name = environment.get("AWS_LAMBDA_LOG_GROUP_NAME")
        self.log_stream_name = environment.get("AWS_LAMBDA_LOG_STREAM_NAME")
        self.function_name = environment.get("AWS_LAMBDA_FUNCTION_NAME")
        self.memory_limit_in_mb = environment.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
        self.function_version = environment.get("AWS_LAMBDA_FUNCTION_VERSION")
        self.invoked_function_arn = headers.get("lambda-runtime-invoked-function-arn")
        self.tenant_id = headers.get("lambda-runtime-aws-tenant-id")
        client_context = parse_header(headers, "lambda-runtime-client-context", "Client Context")
        self._w3c = {}
        if isinstance(client_context, dict):
            trace = client_context.pop("w3c", None)
            if isinstance(trace, dict):
                self._w3c = {k: trace[k] for k in ("traceparent", "tracestate", "baggage") if isinstance(trace.get(k), str)}
        self.client_context = ClientContext(client_context) if isinstance(client_context, dict) else None
        identity = parse_header(headers, "lambda-runtime-cognito-identity", "Cognito Identity")
        self.identity = CognitoIdentity(identity if isinstance(identity, dict) else {})
        self._deadline_ms = int(headers.get("lambda-runtime-deadline-ms", "0"))

    def get_remaining_time_in_millis(self):
        return max(0, self._deadline_ms - int(time.time() * 1000))

    def w3c(self):
        return dict(self._w3c)

    def log(self, message):
        sys.stdout.write(str(message))

    def __repr__(self):
        return describe(self, [name for name in vars(self) if not name.startswith("_")])


def describe(thing, names):
    return "%s([%s])" % (type(thing).__name__, ",".join("%s=%s" % (name, getattr(thing, name)) for name in names))


def one_line(text):
    return "".join(c if " " <= c <= "~" else "?" for c in str(text))[:256]


def parse_header(headers, name, title):
    if not headers.get(name):
        return None
    try:
        return json.loads(headers[name])
    except ValueError as error:
        raise Fault("Runtime.LambdaContextUnmarshalError", "Unable to parse %s JSON: %s" % (title, error))


def load_handler(name):
    module_name, dot, function_name = name.rpartition(".")
    if not dot:
        raise Fault("Runtime.MalformedHandlerName", "Bad handler '%s': not enough values to unpack (expected 2, got 1)" % name)
    if module_name.split(".")[0] in sys.builtin_module_names:
        raise Fault("Runtime.BuiltInModuleConflict", "Cannot use built-in module %s as a handler module" % module_name)
    import importlib

    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as error:
        raise Fault("Runtime.ImportModuleError", "Unable to import module '%s': %s" % (module_name, error))
    except SyntaxError as error:
        trace = ['  File "%s" Line %s\n    %s' % (error.filename, error.lineno, error.text)]
        raise Fault("Runtime.UserCodeSyntaxError", "Syntax error in module '%s': %s" % (module_name, error), trace)
    try:
        return getattr(module, function_name)
    except AttributeError:
        raise Fault("Runtime.HandlerNotFound", "Handler '%s' missing on module '%s'" % (function_name, module_name))


def error_document(error, request_id=""):
    if isinstance(error, Fault):
        return {"errorMessage": error.message, "errorType": error.error_type, "requestId": request_id, "stackTrace": error.trace}
    import traceback

    frames = traceback.extract_tb(error.__traceback__)
    while frames and frames[0].filename == __file__:
        frames = frames[1:]
    return {"errorMessage": str(error), "errorType": type(error).__name__, "requestId": request_id, "stackTrace": traceback.format_list(frames)}


def log_error(document):
    """One log entry: its lines are held together by carriage returns, their indentation by no-break spaces."""
    title = "[ERROR] " + document["errorType"]
    if document["errorMessage"]:
        title += ": " + document["errorMessage"]
    lines = [title, "Traceback (most recent call last):"]
    for entry in document["stackTrace"]:
        for line in entry.splitlines() or [""]:
            bare = line.lstrip(" ")
            lines.append(NO_BREAK_SPACE * (len(line) - len(bare)) + bare)
    sys.stdout.write("\r".join(lines) + "\n")
    sys.stdout.flush()


class current:
    """The invocation that runs, for log records."""

    request_id = ""
    tenant_id = None


def set_up_logging():
    """AWS's format. The logging module costs a few milliseconds, so it is prepared only once somebody imports it."""
    import logging

    class Handler(logging.Handler):
        def emit(self, record):
            sys.stdout.write(self.format(record))

    class InvocationFilter(logging.Filter):
        def filter(self, record):
            record.aws_request_id = current.request_id
            record.tenant_id = current.tenant_id
            return True

    class JsonFormatter(logging.Formatter):
        plain = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "aws_request_id", "tenant_id"}

        def format(self, record):
            out = {"timestamp": self.formatTime(record, "%Y-%m-%dT%H:%M:%SZ"), "level": record.levelname}
            out["message"] = record.msg if isinstance(record.msg, dict) and not record.args else record.getMessage()
            out["logger"] = record.name
            if record.exc_info:
                import traceback

                out["stackTrace"] = traceback.format_tb(record.exc_info[2])
                out["errorType"] = record.exc_info[0].__name__
                out["errorMessage"] = str(record.exc_info[1])
                out["location"] = "%s:%s:%s" % (record.pathname, record.funcName, record.lineno)
            out["requestId"] = record.aws_request_id
            if record.tenant_id is not None:
                out["tenantId"] = record.tenant_id
            for name, value in vars(record).items():
                if name not in self.plain and name not in out:
                    out[name] = value
            return json.dumps(out, ensure_ascii=False, default=str) + "\n"

    logging.Formatter.converter = time.gmtime
    handler = Handler()
    if os.environ.get("AWS_LAMBDA_LOG_FORMAT", "").upper() == "JSON":
        handler.setFormatter(JsonFormatter())
    else:
        handler.setFormatter(logging.Formatter(
            "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s\n", "%Y-%m-%dT%H:%M:%S"))
    handler.addFilter(InvocationFilter())
    root = logging.getLogger()
    level = os.environ.get("AWS_LAMBDA_LOG_LEVEL", "").upper()
    level = "DEBUG" if level == "TRACE" else level
    if level in logging._nameToLevel:
        root.setLevel(level)
    root.addHandler(handler)


class LoggingOnImport:
    """Calls set_up_logging right after the first import of logging, before the importer can use it."""

    def find_spec(self, name, path=None, target=None):
        if name != "logging":
            return None
        sys.meta_path.remove(self)
        import importlib.util

        spec = importlib.util.find_spec("logging")
        load = spec.loader.exec_module

        def exec_module(module):
            load(module)
            set_up_logging()

        spec.loader.exec_module = exec_module
        return spec


def prepare_logging():
    if "logging" in sys.modules:
        set_up_logging()
    else:
        sys.meta_path.insert(0, LoggingOnImport())


def encode_other(value):
    import decimal

    if isinstance(value, decimal.Decimal):
        return DecimalNumber(value)
    raise TypeError("Object of type %s is not JSON serializable" % type(value).__name__)


class DecimalNumber(float):
    """Written with the digits of the Decimal that it stands for."""

    def __new__(cls, value):
        made = super().__new__(cls, value)
        made.text = "NaN" if value.is_nan() else str(value)
        return made

    def __repr__(self):
        return self.text


encode = json.JSONEncoder(ensure_ascii=False).encode


def marshal(value):
    """Bytes and content type of an answer."""
    if isinstance(value, bytes):
        return value, "application/unknown"
    try:
        try:
            text = encode(value)
        except TypeError:
            # Only the encoder in Python asks for the digits of a Decimal.
            text = "".join(PortableEncoder(default=encode_other).iterencode(value))
        return text.encode("utf-8", "backslashreplace"), "application/json"
    except Exception as error:
        raise Fault("Runtime.MarshalError", "Unable to marshal response: %s" % error)


class PortableEncoder(json.JSONEncoder):
    def iterencode(self, value, _one_shot=False):
        from json.encoder import _make_iterencode, encode_basestring

        def number(item, _repr=float.__repr__):
            if isinstance(item, DecimalNumber):
                return item.text
            if item != item:
                return "NaN"
            if item in (float("inf"), float("-inf")):
                return "Infinity" if item > 0 else "-Infinity"
            return _repr(item)

        return _make_iterencode({}, self.default, encode_basestring, None, number, ": ", ", ", False, False, False)(value, 0)


def unmarshal(body):
    try:
        return json.loads(body)
    except ValueError as error:
        raise Fault("Runtime.UnmarshalError", "Unable to unmarshal input: %s" % error)


def run_one(client, handler, headers, body):
    request_id = headers["lambda-runtime-aws-request-id"]
    current.request_id = request_id
    current.tenant_id = headers.get("lambda-runtime-aws-tenant-id")
    trace = headers.get("lambda-runtime-trace-id")
    if trace:
        os.environ["_X_AMZN_TRACE_ID"] = trace
    else:
        os.environ.pop("_X_AMZN_TRACE_ID", None)
    try:
        context = LambdaContext(headers)
        answer, content_type = marshal(handler(unmarshal(body), context))
    except Exception as error:
        document = error_document(error, request_id)
        log_error(document)
        client.fail(request_id, document)
        return
    client.respond(request_id, answer, content_type)


def main():
    sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")
    sys.stderr.reconfigure(line_buffering=True, errors="backslashreplace")
    environment = os.environ
    client = RuntimeClient(environment["AWS_LAMBDA_RUNTIME_API"])
    root = environment.get("LAMBDA_TASK_ROOT", os.getcwd())
    # AWS's order: the function's own files come first.
    sys.path[:] = [root, "/opt/python"] + [entry for entry in sys.path if entry not in (root, "", "/opt/python")]
    prepare_logging()
    try:
        handler = load_handler(environment.get("_HANDLER", ""))
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        document = error_document(error)
        log_error(document)
        client.fail_init(document)
        sys.exit(1)
    while True:
        headers, body = client.next()
        run_one(client, handler, headers, body)


if __name__ == "__main__":
    main()
