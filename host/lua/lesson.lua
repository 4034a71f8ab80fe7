-- lesson.lua: training a slice at a time: a run of fit for a clone of a model, in a coroutine that gives way when its
-- time is over, amid a step too (trainer:train_some). So it gives the weights that fit would have given.

local asked = require "lstm.asked"
local core = require "lstm.core"
local fit = require "lstm.fit"
local methods = require "lstm.methods"
local options = require "lstm.options"
local subject = require "lstm.subject"

-- The options of fit but those of a run that is watched, saved, or on threads: a slice runs in the caller's.
local spec = {}
for name, rule in pairs(asked.spec) do spec[name] = rule end
for _, name in ipairs{"accumulate", "checkpoint", "csv", "resume", "seconds", "threads", "title", "verbose"} do
  spec[name] = nil
end

local Lesson = methods.guard({}, "lesson", {"history", "loss", "problem", "routine", "stopped"}, true)
Lesson.__index = Lesson
Lesson.__name = "lstm.lesson"

-- Waits for the next slice. Ctrl-C is polled only inside of one.
local function pause()
  local held = core.hold(false)
  coroutine.yield()
  core.hold(held)
end

-- Whether the slice is over, having waited then; whether the run is.
local function breathe(lesson)
  if core.now() >= lesson.deadline then pause() end
  return core.interrupted()
end

-- The trainer as fit sees it: a step takes as many slices as it needs.
local function sliced(lesson, trainer)
  local proxy = {}
  function proxy.train(_, x, y, extra)
    local given = {}
    for name, value in pairs(extra or {}) do given[name] = value end
    breathe(lesson)
    while true do
      given.seconds = math.min(math.max(0, lesson.deadline - core.now()), 1e9)       -- a deadline may be infinite
      local done, loss, weight = trainer:train_some(x, y, given)
      if done == nil then return nil, loss, weight end               -- the message, the status
      if done then
        lesson.loss = loss
        return loss, weight
      end
      pause()
    end
  end
  return setmetatable(proxy, {__index = function(_, name)
    return function(_, ...) return trainer[name](trainer, ...) end
  end})
end

-- Products in a piece of a validation: a fraction of a millisecond. A number, and no time, so that sums are the same on
-- each machine.
local PIECE = 4e6

-- How fit trains the clone.
local function way(lesson)
  local real
  return setmetatable({
    watch = function(run) lesson.run_of = run end,
    trainer = function(...)
      real = subject.trainer(...)
      return sliced(lesson, real)
    end,
    evaluate = function(model, data, opts)
      return subject.evaluate(model, data, opts, real, function() return breathe(lesson) end, PIECE)
    end,
  }, {__index = subject})
end

-- Goes on; keeps how it ended.
local function resume(lesson, deadline)
  lesson.deadline = deadline
  local fine, result, message, status = coroutine.resume(lesson.routine)
  if not fine then
    lesson.routine, lesson.stopped = nil, "error"
    lesson.problem = tostring(result):gsub("^[^\n]-:%d+: ", ""):gsub("^fit: ", "lesson: ")
    if type(result) ~= "string" then error(result, 0) end
    core.raise(lesson.problem)
  end
  if coroutine.status(lesson.routine) ~= "dead" then return end
  lesson.routine = nil
  if result then lesson.history, lesson.stopped = result, result.stopped
  else lesson.problem, lesson.stopped = (tostring(message):gsub("^fit: ", "lesson: ")), status end
end

-- A callback runs inside of run.
local function check_idle(lesson, what)
  if coroutine.status(lesson.routine) == "suspended" then return end
  core.raise(what .. ": the lesson is running, and calls this function: return false from it to end the lesson")
end

--- Works for at most so many seconds, but always does a little: one tile of a step, a few sequences of the validation
-- (at least a whole one), or what lies between two steps.
-- Returns true when the lesson is done, else false; or nil, message, status where the world stops it: "not_finite",
-- "interrupted". An error of a callback is raised by the call that it happens in; later ones return nil, message,
-- "error". lesson.loss is the last step's.
function Lesson:run(seconds)
  local given, wanted = options.value(seconds, {type = "number", min = 0})
  if not given then core.raise(("run: the seconds must be %s, got %s"):format(wanted, options.show(seconds))) end
  if self.routine then
    check_idle(self, "run")
    resume(self, core.now() + seconds)
  end
  if self.problem then return nil, self.problem, self.stopped end
  return not self.routine
end

--- How much of the lesson is done, 0 to 1: steps of those that there are. It is 1 when the lesson is done, so not in
-- the validation after its last step, and stays where it was when the lesson is closed or fails.
function Lesson:progress()
  if self.history then return 1 end
  local run = self.run_of
  return math.min(run.position, run.total - 0.5) / run.total
end

--- Ends the lesson now: the model has its best weights so far.
function Lesson:close()
  if not self.routine then return end
  check_idle(self, "close")
  core.hold(true)                                                  -- what pause let go of, close lets go of
  self.routine = nil
  self.stopped = "closed"
  self.run_of:close()
end

Lesson.__close = Lesson.close

function Lesson:__tostring()
  local run = self.run_of
  return ("lesson: step %d of %d%s"):format(run.position, run.total, self.stopped and ", " .. self.stopped or "")
end

--- A clone of the model (lesson.model) that learns from data in slices: lesson:run(seconds) in each frame. data and
-- options: as for fit, but accumulate, checkpoint, csv, resume, seconds, threads, title and verbose. The weights are
-- those that fit would give; lesson.model is to be used when the lesson is done, not while it runs.
-- All data are looked at here once, which takes a while for many: 10 ms for 1,000 sequences, say.
-- Returns the lesson, which has not begun yet; or nil, message, status for data that cannot be learned.
return function(model, data, given)
  local opts = {}
  for name, value in pairs(options.check(given, spec, "lesson")) do
    if given and given[name] ~= nil then opts[name] = value end
  end
  opts.verbose = 0
  local clone = model:clone()
  local lesson = setmetatable({model = clone}, Lesson)
  lesson.routine = coroutine.create(function() return fit(clone, data, opts, way(lesson)) end)
  resume(lesson, -math.huge)
  if lesson.problem then return nil, lesson.problem, lesson.stopped end
  return lesson
end
