// Real work for quickjs.wasm: arithmetic, objects, text, JSON, regular expressions, exceptions, files.
import * as std from "qjs:std";
import * as os from "qjs:os";

const out = [];
const say = (...parts) => { const line = parts.join(" "); out.push(line); print(line); };

function primes(n) {
  const composite = new Uint8Array(n + 1), found = [];
  for (let i = 2; i <= n; i++) {
    if (composite[i]) continue;
    found.push(i);
    for (let j = i * i; j <= n; j += i) composite[j] = 1;
  }
  return found;
}

class Shape { area() { throw new TypeError("abstract"); } get kind() { return this.constructor.name; } }
class Circle extends Shape { #r; constructor(r) { super(); this.#r = r; } area() { return Math.PI * this.#r ** 2; } }
class Square extends Shape { constructor(s) { super(); this.s = s; } area() { return this.s * this.s; } }

say("primes", primes(20000).length, primes(100).join());
say("shapes", [new Circle(2), new Square(3)].map((s) => `${s.kind}=${s.area().toFixed(6)}`).join(" "));
try { new Shape().area(); } catch (e) { say("caught", e.name, e.message, e instanceof TypeError); }
try { null.x; } catch (e) { say("caught", e.name); }
say("bigint", (2n ** 521n - 1n).toString().slice(0, 30), (123456789012345678901234567890n * 987654321n) % 1000000007n);

const text = std.loadFile("/data/words.txt");
const counts = {};
for (const [w] of text.toLowerCase().matchAll(/[\p{L}]+/gu)) counts[w] = (counts[w] ?? 0) + 1;
const top = Object.entries(counts).sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1)).slice(0, 5);
say("words", JSON.stringify(top));
say("replace", text.split("\n")[0].replace(/(\w+) (\w+)/, "$2 $1"), "naïve café €".normalize("NFD").length);
say("json", JSON.stringify(JSON.parse('{"a":[1,2.5,-3e10,null,true],"b":{"c":"\\u00e9\\n"}}'), null, 1).length);

function* fibonacci() { for (let [a, b] = [0, 1]; ; [a, b] = [b, a + b]) yield a; }
const fibs = [];
for (const f of fibonacci()) { if (f > 1e6) break; fibs.push(f); }
say("fibonacci", fibs.length, fibs.at(-1));

const m = new Map(), weak = new Set([3, 1, 2]);
for (let i = 0; i < 20000; i++) m.set("k" + (i % 777), i);
say("map", m.size, m.get("k5"), [...weak].sort().join(""));
say("math", [Math.sin(1), Math.exp(1.5), Math.cbrt(27), Math.hypot(3, 4), Math.fround(0.1), 0.1 + 0.2, 1e21, 5e-324, -0].join(" "));
say("typed", new Float32Array([1.1, -2.7]).join(), new Int16Array([40000, -40000]).join(), new DataView(new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]).buffer).getFloat64(0));
say("date", new Date(Date.UTC(2024, 1, 29, 12, 34, 56)).toISOString(), Date.now() > 1.6e12);
say("sort", Array.from({ length: 1000 }, (_, i) => (i * 7919) % 1009).sort((a, b) => a - b).filter((_, i) => i % 111 === 0).join());

os.mkdir("/data/made");
const f = std.open("/data/made/log.txt", "w");
f.puts(out.join("\n") + "\n");
f.printf("%d lines\n", out.length);
f.close();
os.rename("/data/made/log.txt", "/data/made/kept.txt");
const [names, error] = os.readdir("/data/made");
say("files", names.filter((n) => n[0] !== ".").sort().join(), error, os.stat("/data/made/kept.txt")[0].size > 500);
say("missing", std.loadFile("/data/none.txt"), std.loadFile("/etc/passwd"));
Promise.resolve(41).then((v) => say("promise", v + 1)).finally(() => std.exit(7));
