// Benchmarks of the QuickJS interpreter: calls, objects, arrays, strings, regular expressions, JSON, closures, BigInt.
"use strict";

function fib(n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

function sieve(n) {
  const composite = new Uint8Array(n + 1);
  let count = 0;
  for (let i = 2; i <= n; i++) {
    if (composite[i]) continue;
    count++;
    for (let j = i * i; j <= n; j += i) composite[j] = 1;
  }
  return count;
}

class Vec {
  constructor(x, y, z) { this.x = x; this.y = y; this.z = z; }
  add(o) { return new Vec(this.x + o.x, this.y + o.y, this.z + o.z); }
  scale(k) { return new Vec(this.x * k, this.y * k, this.z * k); }
  dot(o) { return this.x * o.x + this.y * o.y + this.z * o.z; }
}

function vectors(n) {
  let p = new Vec(0, 0, 0), v = new Vec(1, 0.5, 0.25);
  for (let i = 0; i < n; i++) {
    p = p.add(v.scale(0.001));
    v = v.add(p.scale(-0.001));
  }
  return p.dot(v).toFixed(9);
}

function sorting(n) {
  let x = 42;
  const a = Array.from({ length: n }, () => (x = (Math.imul(x, 1103515245) + 12345) & 0x7fffffff));
  a.sort((p, q) => p - q);
  const b = a.map((v) => v % 1000).filter((v) => v % 3).reduce((s, v) => (s * 31 + v) % 1000003, 0);
  return `${a[0]} ${a[n - 1]} ${b}`;
}

function words(n) {
  const parts = [];
  for (let i = 0; i < n; i++) parts.push("w" + ((i * 7919) % 997));
  const text = parts.join(" ");
  const counts = new Map();
  for (const m of text.matchAll(/([a-z])(\d+)/g)) counts.set(m[2], (counts.get(m[2]) ?? 0) + 1);
  const replaced = text.replace(/w(\d)(\d*)/g, (_, a, b) => `<${b}${a}>`);
  return `${counts.size} ${counts.get("7")} ${replaced.length} ${[...replaced].filter((c) => c === "<").length}`;
}

function json(n) {
  const items = [];
  for (let i = 0; i < n; i++) items.push({ id: i, name: "item" + i, tags: ["a", "b" + (i % 7)], value: i / 8, nested: { ok: i % 2 === 0, none: null } });
  let s = JSON.stringify(items), total = 0;
  for (const o of JSON.parse(s)) total += o.value + o.tags.length + (o.nested.ok ? 1 : 0);
  return `${s.length} ${total}`;
}

function matrix(n) {
  const a = [], b = [];
  for (let i = 0; i < n; i++) {
    a.push(Float64Array.from({ length: n }, (_, j) => (i * 7 + j) % 13));
    b.push(Float64Array.from({ length: n }, (_, j) => (i + j * 5) % 11));
  }
  let trace = 0;
  for (let i = 0; i < n; i++)
    for (let j = 0; j < n; j++) {
      let s = 0;
      for (let k = 0; k < n; k++) s += a[i][k] * b[k][j];
      if (i === j) trace += s;
    }
  return trace;
}

function* numbers(n) { for (let i = 0; i < n; i++) yield i; }

function generators(n) {
  let s = 0;
  for (const v of numbers(n)) {
    try {
      if (v % 1000 === 0) throw new RangeError("v" + v);
      s += v;
    } catch (e) {
      s += e.message.length;
    }
  }
  return s;
}

function bigints(n) {
  let a = 1n;
  for (let i = 1n; i <= n; i++) a *= i;
  return `${a.toString().length} ${a % 1000000007n}`;
}

function evaluator(n) {
  const run = (t, env) => {
    switch (t.kind) {
      case "num": return t.value;
      case "var": return env[t.name];
      case "add": return run(t.a, env) + run(t.b, env);
      case "mul": return (run(t.a, env) * run(t.b, env)) % 65521;
      default: throw new Error(t.kind);
    }
  };
  const v = (name) => ({ kind: "var", name }), num = (value) => ({ kind: "num", value });
  const tree = { kind: "add", a: { kind: "mul", a: v("x"), b: { kind: "add", a: v("y"), b: num(3) } }, b: { kind: "mul", a: v("x"), b: v("x") } };
  let s = 0;
  for (let i = 0; i < n; i++) s = (s + run(tree, { x: i, y: s })) % 65521;
  return s;
}

print("fib", fib(27));
print("sieve", sieve(500000));
print("vectors", vectors(120000));
print("sorting", sorting(40000));
print("words", words(20000));
print("json", json(6000));
print("matrix", matrix(90));
print("generators", generators(150000));
print("bigints", bigints(1500n));
print("evaluator", evaluator(60000));
