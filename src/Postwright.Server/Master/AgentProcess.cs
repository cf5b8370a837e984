using System.Net.Sockets;
using Postwright.Core.Configuration;
using Postwright.Core.Logging;
using Postwright.Core.Tables;
using Postwright.Core.Tables.Remote;
using Postwright.Server.Deliver.Agent;

namespace Postwright.Server.Master;

#pragma warning disable RS0030 // A process that no simulation composes.

/// <summary>
/// agent: root, delivers to local and virtual mailboxes as their owners. Knows no network: its only door is a private unix-domain
/// socket, which master opened and keeps, and where only mail_owner is served. What it does is decided by configuration that it
/// reads itself; tables on servers it asks mail for, over the same door.
/// </summary>
public static class AgentProcess
{
    /// <summary>The descriptor of the listening socket.</summary>
    public const string SocketName = "agent";

    // As many as the mail process has delivery threads, twice over.
    private const int Backlog = 256;

    // Mail ends within three seconds; master kills what has not ended after four.
    private static readonly TimeSpan FinishLimit = TimeSpan.FromSeconds(3.5);

    /// <summary>Where mail finds the agent.</summary>
    public static string SocketPath(MailConfiguration configuration) => Path.Combine(configuration.GetString("queue_directory"), "private", "agent");

    /// <summary>Runs until master wants an end; the exit status.</summary>
    /// <param name="child">What master passed.</param>
    /// <param name="mailOwner">The user whose requests are served.</param>
    public static async Task<int> RunAsync(ChildProcess child, uint mailOwner)
    {
        Daemon daemon = child.Daemon;
        if (child.Inherited.Find(SocketName) is not int listener)
        {
            daemon.Log.Fatal("no socket was passed");
            return 1;
        }

        MailLog tableLog = daemon.Log.For("local", daemon.Log.Number);
        TableQuestions questions = new(tableLog, Daemon.Clock);
        AgentServices Services(MailConfiguration configuration) => AgentServices.From(
            configuration,
            new TableRegistry(
                tableLog,
                Daemon.Clock,
                daemon.Host,
                remote: new RemoteTables(configuration, questions.Ask),
                lineLengthLimit: configuration.GetInt("line_length_limit"),
                smtpUtf8: configuration.GetBool("smtputf8_enable")),
            daemon.Host,
            Daemon.Clock,
            daemon.Log,
            ownsTables: true);

        using AgentServer server = new(Services(daemon.Configuration), mailOwner, daemon.Log);
        new Thread(() => server.Run(listener)) { IsBackground = true, Name = "accept" }.Start();
        child.SayReady();
        await foreach (ReloadMessage message in child.Messages.ReadAllAsync())
        {
            child.TakeLog(message);
            daemon.Configuration = MailConfiguration.Load(daemon.Configuration.ConfigDirectory);
            server.Replace(Services(daemon.Configuration));
        }

        // A delivery that is cut off here would be made again after the next start: mail, which ends too, gets its answers first.
        await Task.WhenAny(server.FinishAsync(), Task.Delay(FinishLimit, TimeProvider.System));
        return 0;
    }

    /// <summary>
    /// Opens the socket, for master: a file in a directory of mail_owner's, so nothing is done to it by name but to remove what an
    /// earlier run left; its mode comes from the creation mask.
    /// </summary>
    internal static Socket Listen(string path)
    {
        File.Delete(path);
        Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        uint mask = MasterCalls.SetCreationMask(0);
        try
        {
            socket.Bind(new UnixDomainSocketEndPoint(path));
            socket.Listen(Backlog);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
        finally
        {
            _ = MasterCalls.SetCreationMask(mask);
        }
    }
}
