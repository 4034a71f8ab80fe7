-- luacheck: globals love jit
-- Run by LÖVE: the folder of the sources, as the first argument, has the module and the test.
function love.load(arguments)
  local ok, message = xpcall(function()
    package.cpath = arguments[1] .. "/?.so;" .. package.cpath
    assert(loadfile(arguments[2]))()
    -- A game trains a little in each frame.
    local lstm = require "lstm"
    local model = lstm.model{input = 2, hidden = 4, output = {"up", "down"}, seed = 1}
    local set = lstm.sequences{x = {{{0, 1}, {0, 1}}, {{0, -1}, {0, -1}}}, y = {"up", "down"}}
    love.lesson = assert(model:lesson(set, {epochs = 100, lr = 0.05}))
    love.frames = 0
    love.set = set
  end, debug.traceback)
  if not ok then
    print(message)
    os.exit(1)
  end
end

function love.update()
  love.frames = love.frames + 1
  if not love.lesson:run(0.0005) then return end
  local classes = love.lesson.model:classify(love.set)
  print(("love: a lesson of %d frames: %s, %s"):format(love.frames, classes[1], classes[2]))
  love.event.quit(classes[1] == "up" and classes[2] == "down" and 0 or 1)
end
