int main(void) {
    int x = "text";
    undeclared = 3
    return x;
}
