-- guarded.lua: return guarded(object, body): what body(object) returns; object:close() is called also when an error
-- passes through. In Lua 5.4 without a pcall, which would hide the traceback.

if _VERSION >= "Lua 5.4" then
  local function once(object, turn)
    if turn == nil then return object end
  end
  return function(object, body)
    for active in once, object, nil, object do return body(active) end         -- luacheck: ignore 512
  end
end

-- Resumes a coroutine to its end; what it yields goes on to whoever resumed this one.
local function carry(thread, ok, ...)
  if not ok or coroutine.status(thread) == "dead" then return ok, ... end
  return carry(thread, coroutine.resume(thread, coroutine.yield(...)))
end

local protected = pcall
-- Callbacks may yield, and Lua 5.1 cannot yield through pcall, but through a coroutine.
if not select(2, coroutine.resume(coroutine.create(function() return pcall(coroutine.yield, true) end))) then
  function protected(body, object)
    if not coroutine.running() then return pcall(body, object) end
    local thread = coroutine.create(body)
    return carry(thread, coroutine.resume(thread, object))
  end
end

local function finish(object, ok, ...)
  if not ok then
    object:close()
    error((...), 0)
  end
  return ...
end

return function(object, body) return finish(object, protected(body, object)) end
