#pragma once

#include "workspace/bytes/bytes.h"
#include "workspace/events/events.h"
#include "workspace/files/files.h"
#include "workspace/mirror/mirror.h"
#include "workspace/search/search.h"
#include "workspace/sharing/sharing.h"
#include "workspace/spaces.h"

namespace mayfly::workspace {

/// Everything of workspaces, for those who offer it to users. All live equally long.
struct Workspaces {
  Spaces* spaces = nullptr;
  Files* files = nullptr;
  Bytes* bytes = nullptr;
  Sharing* sharing = nullptr;
  Events* events = nullptr;
  Search* search = nullptr;
  Mirrors* mirrors = nullptr;
  BlobStore* blobs = nullptr;
};

}  // namespace mayfly::workspace
