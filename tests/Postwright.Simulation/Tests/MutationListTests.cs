using Postwright.Simulation.Mutations;
using Postwright.Testing;

namespace Postwright.Simulation.Tests;

/// <summary>The list of planted faults stays applicable: <c>./build.sh mutate</c> runs it.</summary>
public sealed class MutationListTests
{
    private static string Root => TestPrograms.ProjectRoot;

    private static IReadOnlyList<Mutation> All => Mutation.ReadAll(Path.Combine(Root, "tests", "mutations"));

    [Fact]
    public void Every_fault_finds_the_text_that_it_replaces_exactly_once()
    {
        string[] misfits = [.. All.Where(static mutation => mutation.Misfit(Root) is not null).Select(static mutation => $"{mutation.Name}: {mutation.Misfit(Root)}")];
        Assert.True(misfits.Length == 0, string.Join('\n', misfits));
    }

    [Fact]
    public void There_are_at_least_25_faults() => Assert.True(All.Count >= 25, $"only {All.Count}");

    [Fact]
    public void A_fault_whose_text_is_gone_or_is_there_twice_is_refused()
    {
        string root = Directory.CreateTempSubdirectory("mutation-list-").FullName;
        try
        {
            File.WriteAllText(Path.Combine(root, "A.cs"), "one\n    two\n    two\nthree\n");
            Assert.Null(Read("-one", "+").Misfit(root));
            Assert.Contains("0 times", Read("-gone", "+").Misfit(root));
            Assert.Contains("2 times", Read("-    two", "+").Misfit(root));
            Assert.Contains("0 times", Read("-two", "+").Misfit(root));
            Assert.Contains("changes nothing", Read("-one", "+one").Misfit(root));
        }
        finally
        {
            Directory.Delete(root, recursive: true);
        }
    }

    [Fact]
    public void A_fault_is_planted_and_taken_back()
    {
        string root = Directory.CreateTempSubdirectory("mutation-list-").FullName;
        try
        {
            string file = Path.Combine(root, "A.cs");
            File.WriteAllText(file, "one\n    two\nthree\n");
            Action undo = Read(" one", "-    two", "+    2", "+    2b").Apply(root);
            Assert.Equal("one\n    2\n    2b\nthree\n", File.ReadAllText(file));
            undo();
            Assert.Equal("one\n    two\nthree\n", File.ReadAllText(file));
        }
        finally
        {
            Directory.Delete(root, recursive: true);
        }
    }

    private static Mutation Read(params string[] hunk) => Mutation.Read("a", ["breaks: it", "seeds: 1", "file: A.cs", .. hunk]);
}
