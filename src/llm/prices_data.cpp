#include "llm/prices_data.h"

namespace mayfly::llm {

// Standard tier, shortest context band, five-minute cache writes (OpenAI: thirty minutes). Sources: the "Pricing" pages of
// platform.claude.com and developers.openai.com. Change the version with every change: stored costs name it.
const std::string_view kBuiltInPrices = R"json({
  "version": "2026-11-23",
  "models": {
    "claude-fable-5-1":  {"input": 10, "output": 50, "cache_read": 0.25, "cache_write": 12.5},
    "claude-mythos-5-1": {"input": 10, "output": 50, "cache_read": 0.25, "cache_write": 12.5},
    "claude-fable-5":    {"input": 10, "output": 50, "cache_read": 1, "cache_write": 12.5},
    "claude-mythos-5":   {"input": 10, "output": 50, "cache_read": 1, "cache_write": 12.5},
    "claude-opus-5-5":   {"input": 4, "output": 20, "cache_read": 0.2, "cache_write": 5},
    "claude-opus-5":     {"input": 5, "output": 25, "cache_read": 0.5, "cache_write": 6.25},
    "claude-opus-4-8":   {"input": 5, "output": 25, "cache_read": 0.5, "cache_write": 6.25},
    "claude-opus-4-7":   {"input": 5, "output": 25, "cache_read": 0.5, "cache_write": 6.25},
    "claude-opus-4-6":   {"input": 5, "output": 25, "cache_read": 0.5, "cache_write": 6.25},
    "claude-opus-4-5":   {"input": 5, "output": 25, "cache_read": 0.5, "cache_write": 6.25},
    "claude-opus-4":     {"input": 15, "output": 75, "cache_read": 1.5, "cache_write": 18.75},
    "claude-sonnet-5-5": {"input": 2, "output": 10, "cache_read": 0.1, "cache_write": 2.5},
    "claude-sonnet-5":   {"input": 2, "output": 10, "cache_read": 0.2, "cache_write": 2.5},
    "claude-sonnet-4":   {"input": 3, "output": 15, "cache_read": 0.3, "cache_write": 3.75},
    "claude-3-7-sonnet": {"input": 3, "output": 15, "cache_read": 0.3, "cache_write": 3.75},
    "claude-3-5-sonnet": {"input": 3, "output": 15, "cache_read": 0.3, "cache_write": 3.75},
    "claude-haiku-5-5":  {"input": 0.1, "output": 0.5, "cache_read": 0.01, "cache_write": 0.125},
    "claude-haiku-4-5":  {"input": 1, "output": 5, "cache_read": 0.1, "cache_write": 1.25},
    "claude-3-5-haiku":  {"input": 0.8, "output": 4, "cache_read": 0.08, "cache_write": 1},
    "claude-3-haiku":    {"input": 0.25, "output": 1.25, "cache_read": 0.03, "cache_write": 0.3},
    "claude-3-opus":     {"input": 15, "output": 75, "cache_read": 1.5, "cache_write": 18.75},
    "gpt-6.1-sol":       {"input": 2, "output": 10, "cache_read": 0.1, "cache_write": 2.5},
    "gpt-6.1-terra":     {"input": 1, "output": 5, "cache_read": 0.05, "cache_write": 1.25},
    "gpt-6-astra":       {"input": 10, "output": 50, "cache_read": 1, "cache_write": 12.5},
    "gpt-6-sol":         {"input": 2, "output": 10, "cache_read": 0.2, "cache_write": 2.5},
    "gpt-6-luna":        {"input": 0.1, "output": 0.5, "cache_read": 0.01, "cache_write": 0.125},
    "gpt-5.6-sol":       {"input": 5, "output": 30, "cache_read": 0.5, "cache_write": 6.25},
    "gpt-5.6-terra":     {"input": 2, "output": 12, "cache_read": 0.2, "cache_write": 2.5},
    "gpt-5.6-luna":      {"input": 0.2, "output": 1.2, "cache_read": 0.02, "cache_write": 0.25},
    "gpt-5.5":           {"input": 5, "output": 30, "cache_read": 0.5, "cache_write": 5},
    "gpt-5.5-pro":       {"input": 30, "output": 180, "cache_read": 30, "cache_write": 30},
    "gpt-5.4":           {"input": 2.5, "output": 15, "cache_read": 0.25, "cache_write": 2.5},
    "gpt-5.4-mini":      {"input": 0.75, "output": 4.5, "cache_read": 0.075, "cache_write": 0.75},
    "gpt-5.4-nano":      {"input": 0.2, "output": 1.25, "cache_read": 0.02, "cache_write": 0.2},
    "gpt-5.4-pro":       {"input": 30, "output": 180, "cache_read": 30, "cache_write": 30},
    "gpt-5":             {"input": 1.25, "output": 10, "cache_read": 0.125, "cache_write": 1.25},
    "gpt-5-mini":        {"input": 0.25, "output": 2, "cache_read": 0.025, "cache_write": 0.25},
    "gpt-5-nano":        {"input": 0.05, "output": 0.4, "cache_read": 0.005, "cache_write": 0.05},
    "gpt-4.1":           {"input": 2, "output": 8, "cache_read": 0.5, "cache_write": 2},
    "gpt-4.1-mini":      {"input": 0.4, "output": 1.6, "cache_read": 0.1, "cache_write": 0.4},
    "gpt-4.1-nano":      {"input": 0.1, "output": 0.4, "cache_read": 0.025, "cache_write": 0.1},
    "gpt-4o":            {"input": 2.5, "output": 10, "cache_read": 1.25, "cache_write": 2.5},
    "gpt-4o-mini":       {"input": 0.15, "output": 0.6, "cache_read": 0.075, "cache_write": 0.15},
    "o3":                {"input": 2, "output": 8, "cache_read": 0.5, "cache_write": 2},
    "o4-mini":           {"input": 1.1, "output": 4.4, "cache_read": 0.275, "cache_write": 1.1}
  }
})json";

}  // namespace mayfly::llm
