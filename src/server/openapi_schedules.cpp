#include "server/openapi.h"

namespace mayfly {
namespace {

constexpr std::string_view kTag = "schedules";

const Endpoint kEndpoints[] = {
    {"GET", "/v1/schedules", "listSchedules", kTag, {Scope::Read}, "List the schedules by group and name", "schedule_group prefix limit after_schedule", "", 200,
     "ScheduleList"},
    {"POST", "/v1/schedules/preview", "previewSchedule", kTag, {Scope::Read}, "The next times of an expression", "", "SchedulePreviewRequest", 200,
     "SchedulePreview"},
    {"GET", "/v1/schedules/{schedule}", "getSchedule", kTag, {Scope::Read}, "Show a schedule", "schedule_group", "", 200, "Schedule"},
    {"PUT", "/v1/schedules/{schedule}", "putSchedule", kTag, {Scope::Deploy}, "Make or replace a schedule", "schedule_group", "ScheduleSpec", 200, "Schedule",
     "What was due before is not made up for. A rate goes on counting from where it began while its expression stays the same."},
    {"DELETE", "/v1/schedules/{schedule}", "removeSchedule", kTag, {Scope::Deploy}, "Remove a schedule", "schedule_group", "", 204, ""},
};

constexpr std::string_view kSchemas = R"schema({
  "ScheduleSpec": {"type": "object", "required": ["expression", "target"], "additionalProperties": false, "properties": {
    "name": {"type": "string"}, "group": {"type": "string", "default": "default"}, "description": {"type": "string", "maxLength": 512},
    "expression": {"type": "string", "description": "rate(…), at(…) or cron(…) as Amazon EventBridge Scheduler writes them", "example": "cron(0 8 ? * MON-FRI *)"},
    "time_zone": {"type": "string", "default": "UTC", "example": "Europe/Berlin"},
    "start": {"$ref": "#/components/schemas/Time"}, "end": {"$ref": "#/components/schemas/Time"},
    "flexible_window": {"type": "string", "example": "15m"},
    "missed": {"enum": ["skip", "once", "all"], "default": "once", "description": "What becomes of times at which the server was down"},
    "enabled": {"type": "boolean", "default": true}, "delete_after_completion": {"type": "boolean", "default": false},
    "target": {"type": "object", "example": {"agent": "support"}}, "input": {},
    "retry": {"type": "object", "additionalProperties": false, "properties": {"attempts": {"type": "integer", "minimum": 0, "maximum": 185}, "max_age": {"type": "string", "example": "1h"}}},
    "dead_letter_queue": {"type": "string"}}},
  "Schedule": {"type": "object", "required": ["name", "group", "expression", "time_zone", "target", "created", "modified", "fired"], "properties": {
    "name": {"type": "string"}, "group": {"type": "string"}, "expression": {"type": "string"}, "time_zone": {"type": "string"}, "target": {"type": "object"},
    "created": {"$ref": "#/components/schemas/Time"}, "modified": {"$ref": "#/components/schemas/Time"},
    "next": {"$ref": "#/components/schemas/Time"}, "last": {"$ref": "#/components/schemas/Time"}, "fired": {"type": "integer"},
    "last_error": {"type": "string", "description": "Why the latest firing was not accepted"}, "description_of_times": {"type": "string"}}},
  "ScheduleList": {"type": "object", "required": ["schedules"], "properties": {"schedules": {"type": "array", "items": {"$ref": "#/components/schemas/Schedule"}}, "next": {"type": "string", "description": "Give it as `after` for the next page"}}},
  "SchedulePreviewRequest": {"type": "object", "required": ["expression"], "additionalProperties": false, "properties": {"expression": {"type": "string"}, "time_zone": {"type": "string"}, "count": {"type": "integer", "minimum": 1, "maximum": 100, "default": 10}}},
  "SchedulePreview": {"type": "object", "required": ["description", "times"], "properties": {"description": {"type": "string"}, "times": {"type": "array", "items": {"$ref": "#/components/schemas/Time"}}}}
})schema";

}  // namespace

EndpointGroup schedule_endpoints() { return {kTag, "What starts at fixed times", kEndpoints, kSchemas}; }

}  // namespace mayfly
