-- Drives wrk (1): each request has its own text, each answer is read, each id is written down.
-- Arguments: PLAN, a Lua file that returns
--   method, path, headers, body: with %s for recipients, text and key, in this order, in path or body
--   right: what a right answer contains; id: the pattern of the id in it, or nil
--   recipients, keys: lists that are gone through; text: in front of the number that makes it unique
--   ids: the file that the ids go to
-- The summary is one line of JSON.

local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  plan = dofile(args[1])
  number, wrong, right = 0, 0, 0
  example = ''
  ids = plan.id and io.open(plan.ids, 'w')
end

function request()
  local recipient = plan.recipients[number % #plan.recipients + 1]
  local key = plan.keys[number % #plan.keys + 1]
  local text = plan.text .. number
  number = number + 1
  if plan.body then
    return wrk.format(plan.method, plan.path, plan.headers,
      string.format(plan.body, recipient, text, key))
  end
  return wrk.format(plan.method, string.format(plan.path, recipient, text, key), plan.headers)
end

function response(status, headers, body)
  if status >= 200 and status < 300 and body:find(plan.right, 1, true) then
    right = right + 1
    if ids then
      ids:write(body:match(plan.id), '\n')
    end
  else
    wrong = wrong + 1
    example = status .. ' ' .. body:sub(1, 300):gsub('[%c"\\]', ' ')
  end
end

function done(summary, latency, requests)
  local right, wrong, example = 0, 0, ''
  for _, thread in ipairs(threads) do
    right = right + thread:get('right')
    wrong = wrong + thread:get('wrong')
    example = thread:get('example')
  end
  local errors = summary.errors
  io.write(string.format(
    '{"right": %d, "wrong": %d, "example": "%s", "cut": %d, "seconds": %.6f, ' ..
    '"p50": %.6f, "p99": %.6f}\n',
    right, wrong, example, errors.connect + errors.read + errors.write + errors.timeout,
    summary.duration / 1e6, latency:percentile(50) / 1e6, latency:percentile(99) / 1e6))
end
