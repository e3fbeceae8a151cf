-- wrk's side of the benchmark: sends the requests that `run` has prepared, one after the other, round and round.
--
-- BENCH_REQUESTS is a file of whole HTTP requests, each after a line with its length. A request may hold the mark
-- @@@@@@@@, which becomes a number that no other request has, so that a create never meets its own earlier name.
-- BENCH_CHECK=1 reads every answer and counts those that hold errors; it costs wrk time, so only warm-ups do it.

local MARK = "@@@@@@@@"
local heads, tails, count, at = {}, {}, 0, 0
local number = tonumber(os.getenv("BENCH_FIRST") or "1")

function init()
  local file = assert(io.open(os.getenv("BENCH_REQUESTS"), "rb"))
  while true do
    local size = file:read("*n")
    if not size then break end
    file:read(1)
    local text = file:read(size)
    local from, to = text:find(MARK, 1, true)
    count = count + 1
    heads[count] = from and text:sub(1, from - 1) or text
    tails[count] = from and text:sub(to + 1) or false
  end
  file:close()
  at = number % count
end

function request()
  at = at % count + 1
  if not tails[at] then return heads[at] end
  number = number + 1
  return heads[at] .. string.format("%08x", number) .. tails[at]
end

if os.getenv("BENCH_CHECK") == "1" then
  local threads = {}
  function setup(thread)
    table.insert(threads, thread)
    thread:set("wrong", 0)
    thread:set("sample", "")
  end
  function response(status, _, body)
    if status ~= 200 or body:find('"errors"', 1, true) or not body:find("{", 1, true) then
      wrong = wrong + 1
      sample = status .. " " .. body:sub(1, 300)
    end
  end
  function faults()
    local total, text = 0, ""
    for _, thread in ipairs(threads) do
      total = total + thread:get("wrong")
      text = thread:get("sample")
    end
    return total, text
  end
end

function done(summary, latency)
  local wrong, sample = 0, ""
  if faults then wrong, sample = faults() end
  local e = summary.errors
  io.write(string.format(
    '\n@@{"requests":%d,"us":%d,"p50":%d,"p99":%d,"bytes":%d,"broken":%d,"status":%d,"wrong":%d,"sample":%q}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), summary.bytes,
    e.connect + e.read + e.write + e.timeout, e.status, wrong, sample:gsub("[^%w %p]", " "):gsub('["\\]', "'")))
end
