using Postwright.Core.Configuration;
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
        "master" => arguments => WithInstance(arguments, PostfixStart.RunDaemon),
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
}
