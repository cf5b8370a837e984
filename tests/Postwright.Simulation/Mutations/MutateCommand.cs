using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;

namespace Postwright.Simulation.Mutations;

/// <summary>
/// Proves that the simulator sees: plants one fault after the other in a copy of the source, builds that, and runs worlds until
/// one breaks a promise. A fault that no world notices is missed. Called by <c>tests/mutations/run.sh</c>, which makes the copy.
/// </summary>
internal static partial class MutateCommand
{
    private const int WrongUsage = 64;

    /// <summary>A mutated program may do anything, also nothing.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(10);

    /// <summary>What failed stands in front; envelopes behind may be long.</summary>
    private const int LineLength = 200;

    private const string Programs = "tests/Postwright.Simulation/bin/Release/net10.0";

    private static readonly string[] BuildArguments =
    [
        "-c", "Release", "--no-restore", "-v", "q", "-nologo", "-p:BuildProjectReferences=false",
        "-p:UseSharedCompilation=true", "-p:RunAnalyzers=false", "-p:EnforceCodeStyleInBuild=false", "-p:TreatWarningsAsErrors=false",
    ];

    public static int Run(string[] args)
    {
        if (args is not ["--list", var list, "--tree", var tree, .. var names])
        {
            Console.Error.WriteLine("usage: mutate --list DIRECTORY --tree DIRECTORY [NAME ...]");
            return WrongUsage;
        }

        IReadOnlyList<Mutation> all = Mutation.ReadAll(list);
        Mutation[] chosen = [.. all.Where(mutation => names.Length == 0 || names.Contains(mutation.Name))];
        if (names.Except(all.Select(static mutation => mutation.Name)).ToArray() is { Length: > 0 } unknown)
        {
            Console.Error.WriteLine($"mutate: no such fault: {string.Join(", ", unknown)}; there are: {string.Join(", ", all.Select(static mutation => mutation.Name))}");
            return WrongUsage;
        }

        // The same worlds, without a fault: whatever breaks a promise later is the fault's doing.
        int most = chosen.Max(static mutation => mutation.Seeds);
        Outcome unchanged = Simulate(tree, most);
        Console.WriteLine($"without a fault: {(unchanged.Seed == 0 && unchanged.Trouble is null ? string.Create(CultureInfo.InvariantCulture, $"{most} seeds good ({unchanged.Seconds:F1} s)") : $"FAILED: {unchanged}")}");
        if (unchanged.Seed != 0 || unchanged.Trouble is not null)
        {
            return 1;
        }

        int found = chosen.Count(mutation => Try(mutation, tree));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{found} found, {chosen.Length - found} missed"));
        return found == chosen.Length ? 0 : 1;
    }

    private static bool Try(Mutation mutation, string tree)
    {
        string line = mutation.Misfit(tree) is { } misfit ? $"MISSED: {misfit}" : Look(mutation, tree, out bool isFound) is var seen && isFound ? $"found {seen}" : $"MISSED: {seen}";
        Console.WriteLine($"{mutation.Name,-36} {(line.Length <= LineLength ? line : line[..LineLength] + "...")}");
        return line.StartsWith("found", StringComparison.Ordinal);
    }

    private static string Look(Mutation mutation, string tree, out bool isFound)
    {
        isFound = false;
        Stopwatch watch = Stopwatch.StartNew();
        Action undo = mutation.Apply(tree);
        try
        {
            foreach (string project in Projects(mutation))
            {
                (int status, string output) = Dotnet(tree, ["build", $"src/{project}", .. BuildArguments]);
                if (status != 0)
                {
                    return $"it does not compile: {output.Split('\n').FirstOrDefault(static text => text.Contains("error", StringComparison.Ordinal))}";
                }

                File.Copy($"{tree}/src/{project}/bin/Release/net10.0/{project}.dll", $"{tree}/{Programs}/{project}.dll", overwrite: true);
            }

            double built = watch.Elapsed.TotalSeconds;
            Outcome outcome = Simulate(tree, mutation.Seeds);
            isFound = outcome.Seed > 0;
            return isFound
                ? string.Create(CultureInfo.InvariantCulture, $"after {outcome.Seed} of {mutation.Seeds} seeds ({built:F1} s to build, {outcome.Seconds:F1} s): {outcome.Message}")
                : outcome.Trouble ?? string.Create(CultureInfo.InvariantCulture, $"{mutation.Seeds} seeds saw nothing ({built:F1} s to build, {outcome.Seconds:F1} s)");
        }
        finally
        {
            undo();
            foreach (string project in Projects(mutation))
            {
                File.Copy(Path.Combine(AppContext.BaseDirectory, project + ".dll"), $"{tree}/{Programs}/{project}.dll", overwrite: true);
            }
        }
    }

    /// <summary>The assemblies that a fault changes. Only these are built: what others see of them is the same.</summary>
    private static IEnumerable<string> Projects(Mutation mutation) => mutation.Edits.Select(static edit => edit.File.Split('/')[1]).Distinct();

    /// <summary>What worlds came to.</summary>
    /// <param name="Seed">The first that broke a promise; 0 if none did.</param>
    /// <param name="Message">The promise.</param>
    /// <param name="Trouble">The program did not come to an end of its own; null if it did.</param>
    /// <param name="Seconds">How long it took.</param>
    private readonly record struct Outcome(int Seed, string Message, string? Trouble, double Seconds);

    private static Outcome Simulate(string tree, int seeds)
    {
        Stopwatch watch = Stopwatch.StartNew();
        (int status, string output) = Dotnet(
            tree, $"{Programs}/Postwright.Simulation.dll", "simulate", "--first", "1", "--seeds", seeds.ToString(CultureInfo.InvariantCulture), "--stop-at-first-failure");

        // Worlds run side by side and begin in order, so the lowest number that failed is the first of all.
        Match? first = FailedSeed().Matches(output).MinBy(static match => int.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture));
        bool isWhole = status == (first is null ? 0 : 1);
        return new Outcome(
            first is null ? 0 : int.Parse(first.Groups[1].Value, CultureInfo.InvariantCulture),
            first?.Groups[2].Value ?? "",
            isWhole ? null : $"the simulator ended with status {status}: {output.Trim().Split('\n')[0]}",
            watch.Elapsed.TotalSeconds);
    }

    /// <summary>Runs dotnet in the tree; its exit status, -1 when it was given up, and what it wrote.</summary>
    private static (int Status, string Output) Dotnet(string tree, params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo("dotnet", arguments) { WorkingDirectory = tree, RedirectStandardOutput = true, RedirectStandardError = true })!;
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        Task<string> errors = process.StandardError.ReadToEndAsync();
        if (!process.WaitForExit(Patience))
        {
            process.Kill();
            return (-1, $"no end within {Patience.TotalMinutes} minutes");
        }

        return (process.ExitCode, output.Result + errors.Result);
    }

    [GeneratedRegex(@"^seed (\d+) FAILED: (.*)$", RegexOptions.Multiline)]
    private static partial Regex FailedSeed();
}
