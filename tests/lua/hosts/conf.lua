-- luacheck: globals love jit
-- LÖVE without a window: what the module needs is Lua.
function love.conf(t)
  t.window = false
  for name in pairs(t.modules) do t.modules[name] = name == "event" or name == "timer" end
  t.console = false
end
