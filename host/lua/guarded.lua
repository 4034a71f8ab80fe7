-- guarded.lua: for object in guarded(object) do ... end: an object as the only turn of a loop that closes it, also when
-- an error passes through (Lua 5.4). A pcall would hide the traceback, and coroutines could not yield.

return function(object)
  local function once(_, turn)
    if turn == nil then return object end
  end
  return once, nil, nil, object
end
