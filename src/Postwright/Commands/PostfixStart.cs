using Postwright.Core.Configuration;
using Postwright.Server.Master;

namespace Postwright.Commands;

/// <summary>
/// postfix start and start-fg. Both check first. start begins <c>postwright master</c> as a daemon and waits until it serves
/// clients or has failed; start-fg becomes the master itself.
/// </summary>
internal static class PostfixStart
{
    /// <summary>Starts in the background.</summary>
    public static int Start(PostfixInstance instance)
    {
        if (!Prepare(instance))
        {
            return 1;
        }

        return MasterStart.InBackground(Environment.ProcessPath!, instance.Configuration.ConfigDirectory, out string? error)
            ? 0
            : instance.Fatal(error is null ? "mail system startup failed" : $"mail system startup failed: {error}");
    }

    /// <summary>Runs in the foreground, until a signal ends it.</summary>
    public static int StartInForeground(PostfixInstance instance)
    {
        if (instance.Configuration.GetList("multi_instance_directories").Count > 0)
        {
            return instance.Fatal("start-fg does not support multi_instance_directories");
        }

        return Prepare(instance) ? RunMaster(instance, InheritedDescriptors.Take(), () => { }) : 1;
    }

    /// <summary>The daemon's entry: <c>postwright master -c DIR</c>, started by <see cref="Start"/>.</summary>
    public static int RunDaemon(PostfixInstance instance)
    {
        InheritedDescriptors inherited = InheritedDescriptors.Take();
        using MasterChannel? starter = inherited.Find(MasterStart.ReadyName) is int descriptor ? new MasterChannel(descriptor) : null;
        int status = RunMaster(instance, inherited, () =>
        {
            starter?.Send(Supervisor.Ready);
            starter?.Dispose();
        });

        // Who waits for our word takes the channel's end as a failure, and then looks for the reason in the log.
        instance.Destination?.Flush();
        return status;
    }

    // Takes master.pid and runs as master, or as the only process, until a signal ends it.
    private static int RunMaster(PostfixInstance instance, InheritedDescriptors inherited, Action ready)
    {
        using DaemonSignals signals = new();
        using PidFile? pid = PidFile.TryAcquire(instance.PidPath, out string? error);
        if (pid is null)
        {
            return instance.Fatal(error ?? "the Postfix mail system is already running");
        }

        if (instance.Destination is null)
        {
            return instance.Fatal("the mail system does not run without a log");
        }

        using Daemon daemon = new(instance.Configuration, instance.Destination, "master");
        MailConfiguration? Load()
        {
            MailConfiguration next = MailConfiguration.Load(instance.Configuration.ConfigDirectory);
            return PostfixCheck.Report(next, daemon.Log) ? next : null;
        }

        if (instance.IsSingle)
        {
            return SingleProcess.RunAsync(daemon, signals, inherited, Load, ready).GetAwaiter().GetResult();
        }

        using MasterProcess master = new(daemon, inherited, new ChildIdentity(instance.Owners.MailOwner, instance.Owners.MailGroup), Load);
        return master.Run(signals, ready);
    }

    private static bool Prepare(PostfixInstance instance)
    {
        if (instance.IsRunning)
        {
            instance.Fatal("the Postfix mail system is already running");
            return false;
        }

        if (!PostfixCheck.IsSound(instance))
        {
            instance.Fatal("Postfix integrity check failed!");
            return false;
        }

        PostfixCheck.Warn(instance);
        instance.Log.Info("starting the Postfix mail system");
        return true;
    }
}
