using System.Collections;
using System.Globalization;

namespace Postwright.Server.Master;

/// <summary>
/// The step between master and a child: a fresh process of our own program that raises the limit of open files, gives up
/// root for good, and becomes the child by exec. So the child never held root, and master needs no fork of its own.
/// <c>trampoline [--files] [--user UID:GID] PROGRAM ARGV0 ARGUMENT...</c>; returns only on failure.
/// </summary>
public static class Trampoline
{
    // The runtime collects garbage each time so many bytes were allocated (hexadecimal: 32 MiB), instead of whenever the
    // processor's cache is full: tens of pauses a second under load, which one reply in a hundred felt. Read before the program begins.
    private const string FewCollections = "DOTNET_GCgen0size=0x2000000";

    /// <summary>The arguments that make this program start <paramref name="program"/>.</summary>
    /// <param name="program">Full path of what to become.</param>
    /// <param name="arguments">Its arguments, its own name first.</param>
    /// <param name="identity">Whom to become, or null to stay.</param>
    /// <param name="raiseFileLimit">Whether to raise the soft limit of open files to the hard one.</param>
    public static IReadOnlyList<string> Arguments(string program, IReadOnlyList<string> arguments, ChildIdentity? identity, bool raiseFileLimit)
    {
        List<string> all = ["postwright", "trampoline"];
        if (raiseFileLimit)
        {
            all.Add("--files");
        }

        if (identity is { } who)
        {
            all.Add("--user");
            all.Add(string.Create(CultureInfo.InvariantCulture, $"{who.User}:{who.Group}"));
        }

        return [.. all, program, .. arguments];
    }

    /// <summary>Runs the trampoline; an exit status if it could not become the program.</summary>
    public static int Run(string[] arguments, TextWriter errors)
    {
        int at = 0;
        bool serves = at < arguments.Length && arguments[at] == "--files";
        if (serves)
        {
            at++;
            RaiseFileLimit();
        }

        if (at + 1 < arguments.Length && arguments[at] == "--user")
        {
            string[] numbers = arguments[at + 1].Split(':');
            at += 2;
            if (numbers.Length != 2 || !uint.TryParse(numbers[0], out uint user) || !uint.TryParse(numbers[1], out uint group) || user == 0 || group == 0)
            {
                errors.WriteLine("postwright: fatal: trampoline: bad identity");
                return 1;
            }

            if (!Become(user, group))
            {
                errors.WriteLine($"postwright: fatal: trampoline: change identity: {MasterCalls.LastError}");
                return 1;
            }
        }

        if (arguments.Length < at + 2)
        {
            errors.WriteLine("postwright: fatal: trampoline: no program");
            return 1;
        }

        Execute(arguments[at], arguments[(at + 1)..], serves ? [FewCollections] : []);
        errors.WriteLine($"postwright: fatal: trampoline: execute {arguments[at]}: {MasterCalls.LastError}");
        return 1;
    }

    /// <summary>
    /// Raises the soft limit of open files to the hard one: a session is a descriptor, and the customary 1,024 would end at
    /// a tenth of what one process serves.
    /// </summary>
    /// <returns>The soft limit from now on.</returns>
    public static long RaiseFileLimit()
    {
        if (MasterCalls.GetLimit(MasterCalls.LimitOfFiles, out MasterCalls.ResourceLimit limit) != 0)
        {
            return 1024;
        }

        ulong before = limit.Current;
        limit.Current = limit.Maximum;
        return MasterCalls.SetLimit(MasterCalls.LimitOfFiles, limit) == 0 ? (long)Math.Min(limit.Maximum, long.MaxValue) : (long)before;
    }

    // Groups before the group before the user: each step needs the right that the next one gives up. glibc applies each to
    // every thread of the process. That root cannot come back is checked, not assumed.
    private static unsafe bool Become(uint user, uint group)
    {
        uint only = group;
        return MasterCalls.SetGroups(1, &only) == 0
            && MasterCalls.SetGroup(group) == 0
            && MasterCalls.SetUser(user) == 0
            && MasterCalls.SetUser(0) != 0;
    }

    private static unsafe void Execute(string program, string[] arguments, List<string> environment)
    {
        foreach (DictionaryEntry entry in Environment.GetEnvironmentVariables())
        {
            if ((string)entry.Key != "LISTEN_PID" && !environment.Exists(set => set.StartsWith((string)entry.Key + "=", StringComparison.Ordinal)))
            {
                environment.Add($"{entry.Key}={entry.Value}");
            }
        }

        if (Environment.GetEnvironmentVariable("LISTEN_FDS") is not null)
        {
            environment.Add(string.Create(CultureInfo.InvariantCulture, $"LISTEN_PID={Environment.ProcessId}"));
        }

        using NativeStrings path = new([program]);
        using NativeStrings argv = new(arguments);
        using NativeStrings envp = new(environment);
        _ = MasterCalls.Execute(path.Vector[0], argv.Vector, envp.Vector);
    }
}
