using Postwright.Commands.Postmap;
using Postwright.Commands.Postmulti;
using Postwright.Commands.Sendmail;
using Postwright.Commands.Shared;

namespace Postwright.Commands;

/// <summary>
/// The multi-call program: its links' names choose the command (<c>postmap</c>, <c>sendmail</c>, ...), or its first argument
/// does (<c>postwright postmap ...</c>). One row a command; the command itself is a file of its own beside this one.
/// </summary>
internal static class CommandTable
{
    private static readonly SortedDictionary<string, Func<string[], int>> Commands = new(StringComparer.Ordinal)
    {
        ["mailq"] = SendmailCommand.RunMailq,
        ["newaliases"] = SendmailCommand.RunNewaliases,
        ["postalias"] = PostaliasCommand.Run,
        ["postcat"] = Postcat.Run,
        ["postconf"] = PostconfCommand.Run,
        ["postdrop"] = Postdrop.Run,
        ["postfix"] = PostfixCommand.Run,
        ["postlog"] = Postlog.Run,
        ["postmap"] = PostmapCommand.Run,
        ["postmulti"] = PostmultiCommand.Run,
        ["postqueue"] = Postqueue.Run,
        ["postsuper"] = Postsuper.Run,
        ["sendmail"] = SendmailCommand.Run,
        ["showq"] = Showq.Run,
    };

    /// <summary>Runs the command that argv[0] or the first argument names; 64 and usage if there is none.</summary>
    public static int Run(string[] commandLine, string[] arguments)
    {
        // argv[0], not the executable's path: a link's name is what counts.
        string called = Path.GetFileName(InvokedAs() ?? commandLine[0]);
        if (Commands.TryGetValue(called, out Func<string[], int>? command))
        {
            return CommandHelp.Asked(called, arguments) ? 0 : command(arguments);
        }

        if (arguments.Length > 0 && Commands.TryGetValue(arguments[0], out command))
        {
            return CommandHelp.Asked(arguments[0], arguments[1..]) ? 0 : command(arguments[1..]);
        }

        // What master starts; never a link's name, so that no user meets it.
        if (arguments.Length > 0 && DaemonEntries.Find(arguments[0]) is { } daemon)
        {
            return daemon(arguments[1..]);
        }

        if (arguments is ["--commands"])
        {
            Console.Out.WriteLine(string.Join('\n', Commands.Keys));
            return 0;
        }

        Console.Error.WriteLine($"usage: postwright COMMAND [ARGUMENT ...]\ncommands: {string.Join(' ', Commands.Keys)}");
        return arguments is ["--help" or "-h"] ? 0 : 64;
    }

    /// <summary>argv[0] as the caller gave it; null where /proc cannot be read.</summary>
    internal static string? InvokedAs()
    {
        try
        {
            string all = File.ReadAllText("/proc/self/cmdline");
            int end = all.IndexOf('\0', StringComparison.Ordinal);
            return end < 0 ? all : all[..end];
        }
        catch (IOException)
        {
            return null;
        }
    }
}
