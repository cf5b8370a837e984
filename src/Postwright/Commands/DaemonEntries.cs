using Postwright.Core.Configuration;
using Postwright.Core.Seams;
using Postwright.Server.Master;

namespace Postwright.Commands;

/// <summary>
/// The daemons of the multi-call program: <c>postwright master|mail|agent -c DIR</c> and the trampoline that starts them. They
/// are for <c>postfix start</c> and for master, not for people.
/// </summary>
internal static class DaemonEntries
{
    /// <summary>The entry of that name, or null.</summary>
    public static Func<string[], int>? Find(string name) => name switch
    {
        "trampoline" => arguments => Trampoline.Run(arguments, Console.Error),
        "spawn-as" => Core.Posix.SpawnAs.Run,
        "master" => arguments => WithInstance(arguments, PostfixStart.RunDaemon),
        "mail" => arguments => AsChild(arguments, "mail", child => MailProcess.RunAsync(child)),
        "agent" => arguments => AsChild(arguments, "agent", RunAgentAsync),
        _ => null,
    };

    private static int WithInstance(string[] arguments, Func<PostfixInstance, int> run)
    {
        if (arguments is not ["-c", var directory])
        {
            Console.Error.WriteLine("postwright: fatal: this is started by the postfix command");
            return 1;
        }

        using PostfixInstance? instance = PostfixInstance.Open(MailConfiguration.Load(directory), out string? error);
        if (instance is null)
        {
            Console.Error.WriteLine($"postwright: fatal: {error}");
            return 1;
        }

        return run(instance);
    }

    private static int AsChild(string[] arguments, string service, Func<ChildProcess, Task<int>> run)
    {
        if (arguments is not ["-c", var directory])
        {
            Console.Error.WriteLine("postwright: fatal: this is started by master");
            return 1;
        }

        using ChildProcess? child = ChildProcess.Attach(MailConfiguration.Load(directory), service, out string? error);
        if (child is null)
        {
            Console.Error.WriteLine($"postwright: fatal: {error}");
            return 1;
        }

        return run(child).GetAwaiter().GetResult();
    }

    private static async Task<int> RunAgentAsync(ChildProcess child)
    {
        string owner = child.Daemon.Configuration.GetString("mail_owner");
        if (child.Daemon.Host.FindUser(owner, out UserEntry? user) == HostLookup.Found)
        {
            return await AgentProcess.RunAsync(child, user!.Uid);
        }

        child.Daemon.Log.Fatal($"mail_owner: no such user: {owner}");
        return 1;
    }
}
