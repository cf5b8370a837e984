using System.Globalization;

namespace Postwright.Simulation;

/// <summary>What the command line asks for.</summary>
internal sealed record SimulateOptions
{
    public int Seeds { get; init; } = 200;

    /// <summary>Simulated hours of load and faults that a world has at most.</summary>
    public double Hours { get; init; } = 2;

    public ulong First { get; init; } = 1;

    /// <summary>Worlds at the same time.</summary>
    public int Jobs { get; init; } = Environment.ProcessorCount;

    public bool Trace { get; init; }

    public bool Shrink { get; init; }

    public bool StopAtFirstFailure { get; init; }

    /// <summary>Prints each seed's hash, for comparing two processes.</summary>
    public bool Hashes { get; init; }

    public const string Usage = """
        usage: simulate [--seeds N] [--first F] [--hours H] [--jobs J] [--stop-at-first-failure] [--shrink] [--hashes]
               simulate --seed S [--hours H] [--trace] [--shrink]

          --seeds N    so many worlds (200), from seed F (1) on
          --hours H    simulated hours of load and faults in each, at most (2)
          --jobs J     worlds at the same time (one a processor)
          --seed S     one world, with its counts; --trace prints everything that happens in it
          --shrink     makes the plan of each failing seed as small as it still fails, and prints it
          --hashes     prints the hash of each history

        exit status 0 when every world kept its promises, 1 when one broke one, 64 for a wrong command line
        """;

    /// <summary>Reads the arguments; null if they cannot be understood.</summary>
    public static SimulateOptions? Parse(string[] args)
    {
        SimulateOptions options = new();
        for (int i = 0; i < args.Length; i++)
        {
            string? value = i + 1 < args.Length ? args[i + 1] : null;
            SimulateOptions? next = (args[i], value) switch
            {
                ("--trace", _) => options with { Trace = true },
                ("--shrink", _) => options with { Shrink = true },
                ("--hashes", _) => options with { Hashes = true },
                ("--stop-at-first-failure", _) => options with { StopAtFirstFailure = true },
                ("--seeds", not null) when int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out int seeds) && seeds > 0 => options with { Seeds = seeds },
                ("--jobs", not null) when int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out int jobs) && jobs > 0 => options with { Jobs = jobs },
                ("--first", not null) when ulong.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out ulong first) => options with { First = first },
                ("--seed", not null) when ulong.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out ulong seed) => options with { First = seed, Seeds = 1 },
                ("--hours", not null) when double.TryParse(value, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double hours) && hours is > 0 and <= 1000 => options with { Hours = hours },
                _ => null,
            };
            if (next is null)
            {
                return null;
            }

            options = next;
            i += args[i] is "--seeds" or "--jobs" or "--first" or "--seed" or "--hours" ? 1 : 0;
        }

        return options;
    }
}
