-- Benchmarks of the Lua interpreter: calls, tables, strings, closures, floats, metatables, garbage.

local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end

local function sieve(n)
  local composite, count = {}, 0
  for i = 2, n do
    if not composite[i] then
      count = count + 1
      for j = i * i, n, i do composite[j] = true end
    end
  end
  return count
end

local function spectral(n)
  local u, v = {}, {}
  for i = 1, n do u[i] = 1 end
  for _ = 1, 4 do
    for i = 1, n do
      local s = 0.0
      for j = 1, n do local k = i + j - 2; s = s + u[j] / (k * (k + 1) // 2 + i) end
      v[i] = s
    end
    u, v = v, u
  end
  return string.format("%.9f", u[1])
end

local function trees(depth)
  if depth == 0 then return {} end
  return { trees(depth - 1), trees(depth - 1) }
end

local function nodes(t) return t[1] and 1 + nodes(t[1]) + nodes(t[2]) or 1 end

local Point = {}
Point.__index = Point
Point.__add = function(a, b) return setmetatable({ x = a.x + b.x, y = a.y + b.y }, Point) end
function Point:dot(o) return self.x * o.x + self.y * o.y end

local function objects(n)
  local p, d = setmetatable({ x = 0, y = 0 }, Point), 0
  for i = 1, n do
    p = p + setmetatable({ x = i % 7, y = i % 11 }, Point)
    d = (d + p:dot(p)) % 1000003
  end
  return d
end

local function words(n)
  local parts, counts = {}, {}
  for i = 1, n do parts[#parts + 1] = string.format("w%d", (i * 7919) % 997) end
  local text = table.concat(parts, " ")
  for w in text:gmatch("%a%d+") do counts[w] = (counts[w] or 0) + 1 end
  local keys = {}
  for k in pairs(counts) do keys[#keys + 1] = k end
  table.sort(keys)
  local replaced = text:gsub("w(%d)", "<%1>")
  return #keys, counts[keys[1]], #replaced, text:sub(1, 20):upper():rep(2)
end

local function sorting(n)
  local t, x = {}, 42
  for i = 1, n do x = (x * 1103515245 + 12345) & 0x7fffffff; t[i] = x end
  table.sort(t)
  table.sort(t, function(a, b) return a % 1000 < b % 1000 or (a % 1000 == b % 1000 and a < b) end)
  return t[1], t[n]
end

local function closures(n)
  local fs = {}
  for i = 1, 10 do local c = 0; fs[i] = function(k) c = c + k * i; return c end end
  local s = 0
  for i = 1, n do s = (s + fs[i % 10 + 1](i)) & 0xffffff end
  return s
end

local function queens(n)
  local cols, up, down, found = {}, {}, {}, 0
  local function place(row)
    if row > n then found = found + 1 return end
    for c = 1, n do
      if not cols[c] and not up[row + c] and not down[row - c + n] then
        cols[c], up[row + c], down[row - c + n] = true, true, true
        place(row + 1)
        cols[c], up[row + c], down[row - c + n] = nil, nil, nil
      end
    end
  end
  place(1)
  return found
end

print("fib", fib(29))
print("sieve", sieve(600000))
print("spectral", spectral(260))
print("trees", nodes(trees(15)))
print("objects", objects(300000))
print("words", words(60000))
print("sorting", sorting(50000))
print("closures", closures(1500000))
print("queens", queens(8))
