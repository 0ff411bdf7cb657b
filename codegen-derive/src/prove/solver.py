# Answers queries with cvc5 or bitwuzla, which have no command of their own. Started by `vwasm rules prove`.
#
# Each query on standard input: a line "BYTES MILLISECONDS NAME...", then a script of that many bytes that asserts and does
# not check. The answer is one line: the verdict, and for "sat" the value of each name as #b....
import sys

solver = sys.argv[1]
integers = "integers" in sys.argv[2:]

if solver == "cvc5":
    import cvc5

    def answer(script, limit, names):
        terms = cvc5.TermManager()
        one = cvc5.Solver(terms)
        one.setOption("produce-models", "true")
        one.setOption("tlimit-per", str(limit))
        # Products of unknowns: what is proved of division by reciprocals is proved at once without these rewrites.
        one.setOption("nl-ext-rewrite", "false")
        if integers:
            one.setOption("solve-bv-as-int", "sum")
        parser = cvc5.InputParser(one)
        parser.setStringInput(cvc5.InputLanguage.SMT_LIB_2_6, script, "query")
        symbols = parser.getSymbolManager()
        while True:
            command = parser.nextCommand()
            if command.isNull():
                break
            said = command.invoke(one, symbols)
            if "error" in str(said):
                return "error " + str(said).replace("\n", " ")
        result = one.checkSat()
        if result.isUnsat():
            return "unsat"
        if not result.isSat():
            return "unknown"
        declared = {str(term): term for term in symbols.getDeclaredTerms()}
        return "sat " + " ".join(str(one.getValue(declared[name])) for name in names)

    version = cvc5.__version__
else:
    import bitwuzla

    def answer(script, limit, names):
        terms = bitwuzla.TermManager()
        options = bitwuzla.Options()
        options.set(bitwuzla.Option.PRODUCE_MODELS, True)
        options.set(bitwuzla.Option.TIME_LIMIT_PER, limit)
        parser = bitwuzla.Parser(terms, options)
        parser.parse(script, True, False)
        one = parser.bitwuzla()
        result = one.check_sat()
        if result == bitwuzla.Result.UNSAT:
            return "unsat"
        if result != bitwuzla.Result.SAT:
            return "unknown"
        declared = {str(term): term for term in parser.get_declared_funs()}
        return "sat " + " ".join(str(one.get_value(declared[name])) for name in names)

    version = bitwuzla.version()

print(version, flush=True)
while True:
    header = sys.stdin.buffer.readline().split()
    if not header:
        break
    script = sys.stdin.buffer.read(int(header[0])).decode()
    try:
        said = answer(script, int(header[1]), [name.decode() for name in header[2:]])
    except Exception as error:
        said = "error " + str(error).replace("\n", " ")
    print(said, flush=True)
