"""Real work for python-3.12.0.wasm: the standard library, exceptions, and files under the granted directory."""
import base64, bisect, collections, contextlib, csv, dataclasses, datetime, decimal, enum, fractions, functools
import hashlib, heapq, io, itertools, json, math, os, random, re, statistics, string, struct, sys, textwrap, time

print("version", sys.version_info[:3], sys.platform, sys.argv[1:], os.environ.get("GREETING"))

# json, re, hashlib, math
value = {"name": "vwasm", "list": [1, 2.5, None, True, "é\n"], "nested": {str(i): i * i for i in range(10)}}
text = json.dumps(value, sort_keys=True, ensure_ascii=False)
assert json.loads(text) == value
print("json", len(text), text[:60])
words = re.findall(r"\b(?P<w>[a-z]+)(?=\W)", open("/data/words.txt", encoding="utf-8").read().lower())
print("re", collections.Counter(words).most_common(4), re.sub(r"(\w)(\w+)", r"\2\1", "swap first letters"))
data = bytes(range(256)) * 200
for name in ("md5", "sha1", "sha256", "sha512", "blake2b", "sha3_256"):
    print(name, hashlib.new(name, data).hexdigest()[:32])
print("math", math.pi, math.gamma(5.5), math.comb(60, 30), math.isqrt(10**40), math.fsum([0.1] * 10), math.erf(0.3), math.sin(1e6))
print("numbers", 2**200 % 997, pow(3, 10**20, 10**9 + 7), round(2.675, 2), float("1e308") * 10, 7 // -2, -7 % 3, 1 / 3)
decimal.getcontext().prec = 50
print("decimal", decimal.Decimal(2).sqrt(), fractions.Fraction(355, 113) + fractions.Fraction(1, 7))
print("struct", struct.pack("<hIqfd", -2, 4000000000, -(2**40), 1.5, math.e).hex(), base64.b85encode(b"sandbox"))


# classes, generators, closures, exceptions
@dataclasses.dataclass(order=True)
class Item:
    weight: int
    name: str = dataclasses.field(compare=False)
    tags: list = dataclasses.field(default_factory=list, compare=False)


class Colour(enum.Flag):
    RED = enum.auto()
    GREEN = enum.auto()
    BLUE = enum.auto()


class Vector:
    __slots__ = ("x", "y")

    def __init__(self, x, y):
        self.x, self.y = x, y

    def __add__(self, o):
        return Vector(self.x + o.x, self.y + o.y)

    def __repr__(self):
        return f"Vector({self.x!r}, {self.y!r})"


@functools.lru_cache(maxsize=None)
def ways(n, k):
    return 1 if n == 0 else 0 if n < 0 or k == 0 else ways(n - k, k) + ways(n, k - 1)


def collatz(n):
    while n != 1:
        yield n
        n = n // 2 if n % 2 == 0 else 3 * n + 1


print("classes", sorted([Item(3, "c"), Item(1, "a"), Item(2, "b")])[0], Colour.RED | Colour.BLUE, sum([Vector(1, 2), Vector(3, 4)], Vector(0, 0)))
print("functions", ways(40, 40), len(list(collatz(27))), list(itertools.accumulate(range(8), lambda a, b: a * 2 + b)))


def deep(n):
    return deep(n + 1)


for action in (lambda: 1 // 0, lambda: [][1], lambda: {}["k"], lambda: int("x"), lambda: deep(0), lambda: "a" + 1, lambda: open("/etc/passwd"), lambda: open("/data/none")):
    try:
        action()
    except Exception as e:
        print("caught", type(e).__name__, str(e)[:50])
    finally:
        pass
try:
    try:
        raise KeyError("inner")
    except KeyError as e:
        raise ValueError("outer") from e
except ValueError as e:
    print("chained", repr(e), repr(e.__cause__))
try:
    raise ExceptionGroup("group", [TypeError(1), OSError(2)])
except* TypeError as g:
    print("group", g.exceptions)
except* OSError as g:
    print("group", g.exceptions)

# sorting, heaps, random, statistics
rng = random.Random(2024)
numbers = [rng.randrange(10**6) for _ in range(20000)]
ordered = sorted(numbers, key=lambda n: (n % 1000, -n))
heap = numbers[:]
heapq.heapify(heap)
print("sorting", ordered[:3], [heapq.heappop(heap) for _ in range(3)], bisect.bisect(sorted(numbers), 500000), statistics.median(numbers))
print("random", rng.random(), rng.gauss(0, 1), "".join(rng.choices(string.ascii_letters, k=12)))

# a sieve, a matrix, a bigint
sieve = bytearray([1]) * 100000
for i in range(2, 317):
    if sieve[i]:
        sieve[i * i :: i] = bytes(len(range(i * i, 100000, i)))
matrix = [[(i * j) % 7 for j in range(40)] for i in range(40)]
product = [[sum(a * b for a, b in zip(row, column)) for column in zip(*matrix)] for row in matrix]
print("work", sum(sieve) - 2, sum(map(sum, product)), len(str(math.factorial(1500))), hash((1, 2.5, "x")) != 0)

# files
os.makedirs("/data/out/deep/er", exist_ok=True)
with open("/data/out/table.csv", "w", newline="") as f:
    csv.writer(f).writerows((i, i * i, f"row {i}") for i in range(200))
with open("/data/out/table.csv") as f:
    print("csv", sum(int(row[1]) for row in csv.reader(f)))
with open("/data/out/data.bin", "wb") as f:
    f.write(struct.pack("<1000d", *(math.sqrt(i) for i in range(1000))))
    f.seek(80)
    f.write(b"overwritten")
with open("/data/out/data.bin", "r+b") as f:
    f.seek(-8, os.SEEK_END)
    last = struct.unpack("<d", f.read())[0]
    f.truncate(4096)
print("binary", os.path.getsize("/data/out/data.bin"), last)
with open("/data/out/log.txt", "a") as f:
    print("first", file=f)
with open("/data/out/log.txt", "a") as f:
    print("second", file=f)
os.rename("/data/out/log.txt", "/data/out/deep/er/moved.txt")
with open("/data/out/gone.txt", "w") as f:
    f.write("x")
os.remove("/data/out/gone.txt")
os.mkdir("/data/out/empty")
os.rmdir("/data/out/empty")
for root, directories, files in sorted(os.walk("/data/out")):
    print("walk", root, sorted(directories), sorted(files))
for path in ("/data/out/none", "/data/../etc", "/data/out/deep"):
    try:
        print("remove", os.remove(path))
    except OSError as e:
        print("refused", path, type(e).__name__)

# time and entropy are there, their values are their own
started = time.monotonic()
time.sleep(0.01)
print("clock", time.monotonic() - started >= 0.009, time.time() > 1.6e9, datetime.date(2024, 2, 29).isoformat(), len(os.urandom(16)))
print("input", sys.stdin.read().split())
out = io.StringIO()
with contextlib.redirect_stdout(out):
    print(textwrap.fill("the quick brown fox jumps over the lazy dog " * 3, 30))
print("text", out.getvalue().count("\n"), f"{math.pi:>12.4f}|{255:#06x}|{'é':^5}|{10**9:,}", "ß".upper(), "İ".lower().encode())
sys.exit(5)
