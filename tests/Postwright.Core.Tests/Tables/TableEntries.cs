namespace Postwright.Core.Tests.Tables;

/// <summary>Entries for indexed files: long keys and long values are among them, as those are kept on pages of their own.</summary>
internal static class TableEntries
{
    /// <param name="i">Which one.</param>
    /// <param name="letters">How much longer some are; lmdb takes 511 bytes, Berkeley DB puts more than a quarter of a page elsewhere.</param>
    public static string Key(int i, int letters = 400) => i % 37 == 5 ? $"key{i}{new string('k', letters)}@example.com" : $"key{i}@example{i % 97}.com";

    public static string Value(int i) => (i % 50) switch
    {
        0 => $"v{i} " + new string('x', 9000),
        1 => $"v{i} " + new string('y', 1500),
        _ => $"v{i}",
    };

    public static string Source(int count, int letters = 400) =>
        string.Concat(Enumerable.Range(0, count).Select(i => $"{Key(i, letters)} {Value(i)}\n"));
}
