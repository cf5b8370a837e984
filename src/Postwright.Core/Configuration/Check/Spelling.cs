namespace Postwright.Core.Configuration.Check;

/// <summary>Finds the name that was probably meant: two letters off at most.</summary>
internal static class Spelling
{
    public static string? Nearest(string name)
        => Nearest(name, ParameterTable.All.Where(row => row.Scope is not ParameterScope.Template).Select(row => row.Name));

    public static string? Nearest(string name, IEnumerable<string> candidates)
    {
        string? best = null;
        int bestDistance = name.Length < 6 ? 2 : 3;
        foreach (string candidate in candidates.Where(c => Math.Abs(c.Length - name.Length) <= 2))
        {
            int distance = Distance(name, candidate);
            if (distance < bestDistance)
            {
                (best, bestDistance) = (candidate, distance);
            }
        }

        return best;
    }

    private static int Distance(string a, string b)
    {
        int[] previous = [.. Enumerable.Range(0, b.Length + 1)];
        for (int i = 1; i <= a.Length; i++)
        {
            int[] current = new int[b.Length + 1];
            current[0] = i;
            for (int j = 1; j <= b.Length; j++)
            {
                int replace = previous[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
                current[j] = Math.Min(replace, Math.Min(previous[j], current[j - 1]) + 1);
            }

            previous = current;
        }

        return previous[b.Length];
    }
}
