#include "function/code_library.h"

#include <filesystem>

namespace mayfly::function {

Task<Result<CodeLibrary::Kept>> CodeLibrary::keep(CodePackage code) {
  const PackageLimits limits;
  if (code.zip.size() > limits.packed_bytes_max)
    co_return fail("package.too_large", "the zip file has more than " + std::to_string(limits.packed_bytes_max >> 20) + " MiB");
  Kept out;
  out.sha256 = code.sha256_base64();
  out.bytes = code.zip.size();
  auto blob = co_await blobs_.put(code.zip);
  if (!blob) co_return fail(blob.error());
  out.blob = std::move(*blob);
  out.directory = directory_of(out.blob);
  if (auto unpacked = co_await unpack_at(out.blob, std::move(code)); !unpacked) co_return fail(unpacked.error());
  co_return out;
}

Task<Result<void>> CodeLibrary::restore(std::string blob) {
  std::error_code error;
  if (std::filesystem::exists(directory_of(blob), error)) co_return Result<void>{};
  auto bytes = co_await blobs_.get(blob);
  if (!bytes) co_return fail(bytes.error());
  co_return co_await unpack_at(std::move(blob), CodePackage{std::move(*bytes)});
}

Task<Result<void>> CodeLibrary::unpack_at(std::string blob, CodePackage code) {
  return suspend<Result<void>>([this, folder = directory_of(blob), code = std::move(code)](Resume<Result<void>> resume) mutable {
    asio::post(worker_, [folder = std::move(folder), code = std::move(code), resume = std::move(resume)]() mutable {
      // The same code may have been unpacked while this one waited.
      std::error_code error;
      resume(std::filesystem::exists(folder, error) ? Result<void>{} : unpack(code, folder));
    });
  });
}

}  // namespace mayfly::function
