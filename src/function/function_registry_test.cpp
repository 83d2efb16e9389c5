#include "function/function_registry.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "blob/memory_blob_store.h"
#include "function/function_rules.h"
#include "store/sqlite_store.h"
#include "testing/sim_clock.h"
#include "testing/temporary_directory.h"

namespace mayfly::function {
namespace {

namespace fs = std::filesystem;

template <class T>
Task<> keep_result(Task<T> task, std::optional<T>* out) {
  out->emplace(co_await std::move(task));
}

class RegistryTest : public testing::Test {
 protected:
  RegistryTest() { open(); }
  ~RegistryTest() override { close(); }

  template <class T>
  T run(Task<T> task) {
    std::optional<T> out;
    TaskGroup group(io_.get_executor());
    group.spawn(keep_result(std::move(task), &out));
    io_.restart();
    while (group.size() > 0 && io_.run_one_for(std::chrono::seconds(30)) > 0) {
    }
    EXPECT_EQ(group.size(), 0u) << "the loop has nothing to do, or hangs";
    return std::move(*out);
  }

  void open() {
    store_ = std::move(*open_sqlite_store(io_.get_executor(), {.directory = directory_.path + "/data"}));
    registry_ = std::make_unique<FunctionRegistry>(FunctionRegistry::Dependencies{
        .store = store_.get(),
        .blobs = &blobs_,
        .clock = &clock_,
        .random = &random_,
        .directory = directory_.path,
        .changed = [this](const std::string& name, std::int64_t revision) { changed_.emplace_back(name, revision); }});
  }
  Result<void> load() { return run(registry_->load()); }
  void close() {
    registry_.reset();
    if (store_) run(close_store());
    store_.reset();
  }
  Task<bool> close_store() {
    co_await store_->close();
    co_return true;
  }
  void restart() {
    close();
    open();
    const auto loaded = load();
    ASSERT_TRUE(loaded) << loaded.error().message;
  }

  CodePackage code(const std::string& text) {
    const std::string folder = directory_.path + "/source";
    fs::remove_all(folder);
    fs::create_directories(folder);
    std::ofstream(folder + "/app.py") << text;
    return *pack_folder(folder);
  }
  static FunctionConfig config(const std::string& name) {
    FunctionConfig out;
    out.name = name;
    out.runtime = "python3.12";
    out.handler = "app.handler";
    return out;
  }
  std::shared_ptr<const FunctionRevision> create(const std::string& name, const std::string& text = "v1") {
    auto made = run(registry_->create(config(name), code(text)));
    EXPECT_TRUE(made) << made.error().message;
    return made ? made->revision : nullptr;
  }
  std::string publish(const std::string& name, const std::string& description = "") {
    auto made = run(registry_->publish(name, description, "", ""));
    EXPECT_TRUE(made) << made.error().message;
    return made ? made->version : "";
  }
  void alias(const std::string& function, Alias alias) {
    const auto done = run(registry_->change(function, [&](FunctionRecord& record) -> Result<void> {
      if (auto ok = check_alias(record, alias); !ok) return ok;
      record.aliases[alias.name] = alias;
      return {};
    }));
    ASSERT_TRUE(done) << done.error().message;
  }
  std::string error_of(const FunctionRef& ref) {
    const auto found = registry_->resolve(ref);
    return found ? "" : found.error().message;
  }

  TemporaryDirectory directory_;
  asio::io_context io_;
  SimClock clock_;
  SeededRandom random_{7};
  MemoryBlobStore blobs_;
  std::vector<std::pair<std::string, std::int64_t>> changed_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<FunctionRegistry> registry_;
};

TEST_F(RegistryTest, KeepsAFunctionWithItsSecretsOverARestart) {
  ASSERT_TRUE(load());
  FunctionConfig wanted = config("mailer");
  wanted.environment = {{"API_KEY", "hunter2-secret"}};
  wanted.durable = DurableConfig{std::chrono::seconds{60}, 3};
  wanted.egress = {Egress::Mode::Allow, {"api.example.com"}};
  const auto made = run(registry_->create(wanted, code("v1")));
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->version, "$LATEST");
  EXPECT_TRUE(fs::exists(made->revision->code_directory + "/app.py"));
  EXPECT_EQ(made->revision->code_sha256, code("v1").sha256_base64());
  const auto rows = run(store_->scan(KeyRange::prefix("meta/function/"), 100, Direction::Forward));
  for (const Record& row : *rows) EXPECT_EQ(row.value.find("hunter2"), std::string::npos) << "a secret lies in the store as it is";

  restart();
  const auto again = registry_->resolve({"mailer", ""});
  ASSERT_TRUE(again);
  EXPECT_EQ(again->revision->config.environment.at("API_KEY"), "hunter2-secret");
  EXPECT_EQ(again->revision->revision_id, made->revision->revision_id);
  EXPECT_EQ(again->revision->config.durable->retention_days, 3);
  EXPECT_EQ(again->revision->config.egress.allow, std::vector<std::string>{"api.example.com"});
  EXPECT_EQ(again->revision->code_directory, made->revision->code_directory);
}

TEST_F(RegistryTest, TheKeyFileIsPrivateAndAnotherOneIsRefused) {
  ASSERT_TRUE(load());
  FunctionConfig wanted = config("mailer");
  wanted.environment = {{"API_KEY", "hunter2-secret"}};
  ASSERT_TRUE(run(registry_->create(wanted, code("v1"))));
  const std::string key = directory_.path + "/function.key";
  struct stat about{};
  ASSERT_EQ(::stat(key.c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0600u);
  close();

  fs::rename(key, key + ".old");
  open();
  EXPECT_EQ(load().error().code, "secret.key_missing");
  std::ofstream(key) << std::string(32, 'x');
  EXPECT_EQ(load().error().code, "secret.key_invalid") << "others may read it";
  fs::permissions(key, fs::perms::owner_read | fs::perms::owner_write);
  const auto wrong = load();
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, "secret.wrong_key");
  EXPECT_EQ(wrong.error().message.find("hunter2"), std::string::npos);
  fs::rename(key + ".old", key);
  EXPECT_TRUE(load());
}

TEST_F(RegistryTest, CodeLiesAtAnAbsolutePathAlsoForARelativeDataDirectory) {
  const fs::path before = fs::current_path();
  fs::current_path(directory_.path);
  registry_ = std::make_unique<FunctionRegistry>(
      FunctionRegistry::Dependencies{.store = store_.get(), .blobs = &blobs_, .clock = &clock_, .random = &random_, .directory = "."});
  fs::current_path(before);
  ASSERT_TRUE(load());
  EXPECT_TRUE(fs::exists(create("a")->code_directory));
}

TEST_F(RegistryTest, UnpacksMissingCodeAgain) {
  ASSERT_TRUE(load());
  const auto made = create("a");
  fs::remove_all(directory_.path + "/code");
  restart();
  EXPECT_TRUE(fs::exists(registry_->resolve({"a", ""})->revision->code_directory + "/app.py"));
  EXPECT_EQ(*run(registry_->zip("a", 1)), code("v1").zip);
}

TEST_F(RegistryTest, EveryChangeIsARevisionAndOldOnesStay) {
  ASSERT_TRUE(load());
  const auto first = create("a");
  EXPECT_EQ(run(registry_->create(config("a"), code("v1"))).error().code, "function.exists");
  const auto second = run(registry_->update_code("a", code("v2"), first->revision_id));
  ASSERT_TRUE(second);
  EXPECT_EQ(second->revision->number, 2);
  EXPECT_NE(second->revision->revision_id, first->revision_id);
  EXPECT_EQ(run(registry_->update_code("a", code("v3"), first->revision_id)).error().code, "function.revision_mismatch");
  FunctionConfig bigger = config("a");
  bigger.memory_mb = 256;
  ASSERT_TRUE(run(registry_->update_config(bigger, "")));
  EXPECT_EQ(registry_->resolve({"a", ""})->revision->config.memory_mb, 256);
  EXPECT_EQ(registry_->resolve({"a", ""})->revision->code_sha256, second->revision->code_sha256);
  EXPECT_EQ(registry_->revision("a", 1)->code_sha256, first->code_sha256);
  EXPECT_EQ(changed_, (std::vector<std::pair<std::string, std::int64_t>>{{"a", 1}, {"a", 2}, {"a", 3}}));
  EXPECT_EQ(run(registry_->update_code("b", code("v1"), "")).error().code, "function.not_found");
}

TEST_F(RegistryTest, DeployChangesOnlyWhatDiffers) {
  ASSERT_TRUE(load());
  ASSERT_TRUE(run(registry_->deploy(config("a"), code("v1"))));
  EXPECT_EQ(run(registry_->deploy(config("a"), code("v1")))->revision->number, 1);
  EXPECT_EQ(run(registry_->deploy(config("a"), code("v2")))->revision->number, 2);
  FunctionConfig other = config("a");
  other.environment = {{"MODE", "fast"}};
  EXPECT_EQ(run(registry_->deploy(other, code("v2")))->revision->number, 3);
}

TEST_F(RegistryTest, PublishingWhatIsPublishedGivesTheSameVersion) {
  ASSERT_TRUE(load());
  create("a");
  EXPECT_EQ(publish("a", "first"), "1");
  EXPECT_EQ(publish("a", "again"), "1");
  EXPECT_EQ(registry_->resolve({"a", "1"})->revision->config.description, "first");
  ASSERT_TRUE(run(registry_->update_code("a", code("v2"), "")));
  EXPECT_EQ(publish("a"), "2");
  EXPECT_NE(registry_->resolve({"a", "1"})->revision->code_sha256, registry_->resolve({"a", "2"})->revision->code_sha256);
  EXPECT_NE(registry_->resolve({"a", "2"})->revision->revision_id, registry_->resolve({"a", ""})->revision->revision_id);
  EXPECT_EQ(run(registry_->publish("a", "", "wrong", "")).error().code, "function.invalid");
  EXPECT_EQ(run(registry_->publish("a", "", "", "wrong")).error().code, "function.revision_mismatch");
  restart();
  EXPECT_EQ(publish("a"), "2");
}

TEST_F(RegistryTest, AliasesNameVersionsAndDrawByWeight) {
  ASSERT_TRUE(load());
  create("a");
  publish("a");
  ASSERT_TRUE(run(registry_->update_code("a", code("v2"), "")));
  publish("a");
  alias("a", {"prod", "1", "", {}, ""});
  EXPECT_EQ(registry_->resolve({"a", "prod"})->version, "1");
  EXPECT_EQ(registry_->resolve({"a", "prod"})->qualifier, "prod");
  alias("a", {"prod", "1", "", {{"2", 0.25}}, ""});
  restart();
  int second = 0;
  for (int i = 0; i < 4'000; ++i) second += registry_->resolve({"a", "prod"})->version == "2";
  EXPECT_NEAR(second, 1'000, 150);
  EXPECT_EQ(error_of({"a", "nope"}), "Function not found: arn:aws:lambda:us-east-1:000000000000:function:a:nope");
  EXPECT_EQ(error_of({"b", ""}), "Function not found: arn:aws:lambda:us-east-1:000000000000:function:b");
}

TEST_F(RegistryTest, AVersionInUseCannotBeDeletedAndADeletedFunctionsRevisionsStay) {
  ASSERT_TRUE(load());
  create("a");
  publish("a");
  alias("a", {"prod", "1", "", {}, ""});
  EXPECT_EQ(run(registry_->remove("a", "1")).error().code, "function.in_use");
  EXPECT_EQ(run(registry_->remove("a", "$LATEST")).error().code, "function.invalid");
  EXPECT_EQ(run(registry_->remove("a", "prod")).error().code, "function.invalid");
  EXPECT_EQ(run(registry_->remove("a", "9")).error().code, "function.not_found");
  ASSERT_TRUE(run(registry_->remove("a", "")));
  EXPECT_EQ(changed_.back(), (std::pair<std::string, std::int64_t>{"a", 0}));
  EXPECT_EQ(registry_->record("a"), nullptr);
  EXPECT_TRUE(registry_->list().empty());
  restart();
  EXPECT_NE(registry_->revision("a", 1), nullptr) << "an execution may still need it";
  const auto again = create("a", "other");
  EXPECT_EQ(again->number, 3) << "numbers never come again";
  EXPECT_TRUE(registry_->record("a")->aliases.empty());
  EXPECT_EQ(publish("a"), "2");
}

TEST_F(RegistryTest, SettingsOfAFunctionAreKept) {
  ASSERT_TRUE(load());
  create("a");
  const auto set = run(registry_->change("a", [](FunctionRecord& record) -> Result<void> {
    record.tags = {{"team", "x"}};
    record.async["$LATEST"] = {1, std::chrono::seconds{60}, "", "arn:aws:lambda:us-east-1:000000000000:function:b", from_unix_ms(5)};
    record.urls[""] = {"abc", "", false, true, Json(), from_unix_ms(1), from_unix_ms(2)};
    record.concurrency.reserved = 0;
    record.concurrency.provisioned["1"] = 2;
    return {};
  }));
  ASSERT_TRUE(set);
  EXPECT_FALSE(run(registry_->change("a", [](FunctionRecord& record) -> Result<void> {
    record.tags.clear();
    return fail("function.invalid", "no");
  })));
  restart();
  const FunctionRecord& record = *registry_->record("a");
  EXPECT_EQ(record.tags.at("team"), "x");
  EXPECT_EQ(record.concurrency.reserved, 0);
  EXPECT_EQ(record.concurrency.provisioned.at("1"), 2);
  EXPECT_EQ(registry_->resolve({"a", ""})->async.retries_max, 1);
  FunctionRef owner;
  const FunctionUrl* url = registry_->url("abc", &owner);
  ASSERT_TRUE(url);
  EXPECT_EQ(owner.name, "a");
  EXPECT_TRUE(url->streams);
  EXPECT_EQ(registry_->url("abd", &owner), nullptr);
}

TEST_F(RegistryTest, ChangesAtTheSameTimeAreAllKept) {
  ASSERT_TRUE(load());
  create("a");
  TaskGroup group(io_.get_executor());
  std::vector<std::optional<Result<void>>> results(10);
  for (std::size_t i = 0; i < results.size(); ++i)
    group.spawn(keep_result(registry_->change("a",
                                              [i](FunctionRecord& record) -> Result<void> {
                                                record.tags["k" + std::to_string(i)] = "v";
                                                return {};
                                              }),
                            &results[i]));
  io_.restart();
  while (group.size() > 0 && io_.run_one_for(std::chrono::seconds(30)) > 0) {
  }
  for (const auto& result : results) EXPECT_TRUE(result && *result);
  restart();
  EXPECT_EQ(registry_->record("a")->tags.size(), 10u);
}

TEST_F(RegistryTest, RefusesBadPackagesAndConfigurations) {
  ASSERT_TRUE(load());
  EXPECT_EQ(run(registry_->create(config("a"), {"no zip"})).error().code, "package.invalid");
  EXPECT_EQ(registry_->record("a"), nullptr);
  const auto message = [&](auto&& set) {
    FunctionConfig wanted = config("a");
    set(wanted);
    const auto made = run(registry_->create(wanted, code("v1")));
    EXPECT_FALSE(made);
    EXPECT_TRUE(made || made.error().code == "function.invalid");
    return made ? "" : made.error().message;
  };
  EXPECT_NE(message([](auto& c) { c.memory_mb = 64; }).find("'64' at 'memorySize'"), std::string::npos);
  EXPECT_NE(message([](auto& c) { c.timeout = std::chrono::seconds{901}; }).find("less than or equal to 900"), std::string::npos);
  EXPECT_NE(message([](auto& c) { c.runtime = "java21"; }).find("python3.N"), std::string::npos);
  EXPECT_NE(message([](auto& c) { c.handler = ""; }).find("Handler"), std::string::npos);
  EXPECT_NE(message([](auto& c) { c.name = "a b"; }).find("name"), std::string::npos);
  EXPECT_NE(message([](auto& c) { c.environment = {{"AWS_REGION", "x"}}; }).find("AWS_REGION"), std::string::npos);
  EXPECT_NE(message([](auto& c) { c.environment = {{"BIG", std::string(4'096, 'x')}}; }).find("4KB"), std::string::npos);
  EXPECT_NE(message([](auto& c) { c.environment = {{"1A", "x"}}; }).find("1A"), std::string::npos);
  EXPECT_NE(message([](auto& c) { c.durable = DurableConfig{}; }).find("executionTimeout"), std::string::npos);
}

TEST(FunctionRules, TagsSetMayflysOwnSettings) {
  FunctionConfig config;
  ASSERT_TRUE(apply_tag("mayfly:egress", "api.example.com *.example.org", &config));
  EXPECT_EQ(config.egress.mode, Egress::Mode::Allow);
  EXPECT_EQ(config.egress.allow.size(), 2u);
  ASSERT_TRUE(apply_tag("mayfly:egress", "open", &config));
  EXPECT_EQ(config.egress.mode, Egress::Mode::Open);
  ASSERT_TRUE(apply_tag("mayfly:egress", std::nullopt, &config));
  EXPECT_EQ(config.egress.mode, Egress::Mode::None);
  EXPECT_FALSE(check_tags({{"mayfly:egres", "open"}}));
  EXPECT_FALSE(check_tags({{"aws:x", ""}}));
  EXPECT_TRUE(check_tags({{"team", "x"}, {"mayfly:preload", "boto3 json"}}));
}

TEST(FunctionRules, AliasesNameVersionsThatExist) {
  FunctionRecord record;
  record.name = "a";
  record.versions = {{1, 1}, {2, 2}};
  EXPECT_TRUE(check_alias(record, {"prod", "1", "", {{"2", 0.5}}, ""}));
  EXPECT_TRUE(check_alias(record, {"head", "$LATEST", "", {}, ""}));
  EXPECT_FALSE(check_alias(record, {"12", "1", "", {}, ""}));
  EXPECT_FALSE(check_alias(record, {"prod", "3", "", {}, ""}));
  EXPECT_FALSE(check_alias(record, {"prod", "1", "", {{"3", 0.5}}, ""}));
  EXPECT_FALSE(check_alias(record, {"prod", "1", "", {{"1", 0.5}}, ""}));
  EXPECT_FALSE(check_alias(record, {"prod", "1", "", {{"2", 1.5}}, ""}));
  EXPECT_FALSE(check_alias(record, {"prod", "$LATEST", "", {{"2", 0.5}}, ""}));
}

}  // namespace
}  // namespace mayfly::function
