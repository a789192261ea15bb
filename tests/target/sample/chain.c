int deep(void);
int chain(void);

int chain(void)
{
    return deep() + 1;
}
