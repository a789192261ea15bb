int chain(void);

int main(void)
{
    return chain() + 1;
}
