using Postwright.Core.Configuration;
using Postwright.Core.Configuration.Check;
using Postwright.Core.Logging;
using Postwright.Server.Master;

namespace Postwright.Commands;

/// <summary>
/// postfix check, and what start does before it starts: everything wrong in the configuration at once, missing directories
/// made, wrong owners and modes warned of.
/// </summary>
internal static class PostfixCheck
{
    /// <summary>The command; 1 if start would refuse.</summary>
    public static int Check(PostfixInstance instance)
    {
        bool sound = IsSound(instance);
        if (sound)
        {
            Warn(instance);
        }

        // Here alone: start does not repeat it.
        foreach (string line in SupportSummary.Of(instance.Configuration))
        {
            instance.Log.Info(line);
        }

        return sound ? 0 : 1;
    }

    /// <summary>Reports every error and makes missing directories; false if the mail system must not start.</summary>
    public static bool IsSound(PostfixInstance instance)
    {
        bool sound = Report(instance.Configuration, instance.Log);
        if (!InstanceDirectories.CreateMissing(instance.QueueDirectory, instance.DataDirectory, instance.Owners, out string? error))
        {
            instance.Log.Fatal($"unable to create missing queue directories: {error}");
            sound = false;
        }

        return sound;
    }

    /// <summary>Logs every error and warning of a configuration; false if one of them is fatal.</summary>
    public static bool Report(MailConfiguration configuration, MailLog log)
    {
        bool sound = true;
        foreach (ConfigurationFinding finding in ConfigurationCheck.Run(configuration))
        {
            bool isError = finding.Severity == FindingSeverity.Error;
            sound &= !isError;
            Action<string> say = isError ? log.Fatal : log.Warning;
            say(finding.ToString());
        }

        return sound;
    }

    /// <summary>Warns of owners and modes that let others change what they must not.</summary>
    public static void Warn(PostfixInstance instance)
    {
        InstanceDirectories.Warn(instance.QueueDirectory, instance.DataDirectory, instance.Configuration.ConfigDirectory, instance.Owners, instance.Log);
        if (!instance.IsSingle)
        {
            PostfixPermissions.WarnPrograms(instance);
        }
    }
}
