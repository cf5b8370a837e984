namespace Postwright.Core.Tests.Tables.Remote;

/// <summary>Every key asked of a table under every configuration, by Postfix's postmap and by ours.</summary>
internal static class PostfixAnswers
{
    /// <summary>Compares; skips the test where Postfix cannot ask such a table.</summary>
    /// <param name="rig">Ours.</param>
    /// <param name="type">The table's type.</param>
    /// <param name="server">The settings that lead to the server.</param>
    /// <param name="settings">One configuration each.</param>
    /// <param name="keys">What is asked.</param>
    public static async Task CompareAsync(RemoteRig rig, string type, string server, string[] settings, string[] keys)
    {
        Assert.SkipUnless(File.Exists($"/usr/lib/postfix/postfix-{type}.so"), $"Postfix has no {type} here");
        using var bench = new TableBench();
        File.SetUnixFileMode(rig.Folder, (UnixFileMode)0x1ed);
        int compared = 0;
        await Parallel.ForEachAsync(settings, new ParallelOptions { MaxDegreeOfParallelism = 4 }, async (one, _) =>
        {
            string table = rig.Configure(type, server + one);

            // All keys in one run where none is an error, since Postfix ends at the first one, and sleeps a second.
            (int Status, string Output, string Error) all = await Task.Run(() => bench.Postfix("postmap", string.Join('\n', keys) + "\n", "-q", "-", table), CancellationToken.None);
            await Parallel.ForEachAsync(keys, new ParallelOptions { MaxDegreeOfParallelism = 11 }, async (key, _) =>
            {
                (int Status, string Output, string Error) theirs = all.Error.Contains("fatal: ", StringComparison.Ordinal)
                    ? await Task.Run(() => bench.Postfix("postmap", "", "-q", key, table), CancellationToken.None)
                    : (0, all.Output.Split('\n').FirstOrDefault(line => line.StartsWith(key + "\t", StringComparison.Ordinal))?[(key.Length + 1)..] + "\n", "");
                string expected = theirs.Error.Contains("fatal: ", StringComparison.Ordinal) ? "!" : theirs.Output.TrimEnd('\n') is { Length: > 0 } value ? value : "-";
                string actual = await rig.AskAsync(table, key);
                Assert.True(expected == actual, $"{one}{key}: Postfix says {expected} ({theirs.Error}), we say {actual}: {string.Join(" | ", rig.Log.All.TakeLast(1))}");
                Interlocked.Increment(ref compared);
            });
        });
        Assert.Equal(settings.Length * keys.Length, compared);
    }
}
